"""From the network's crop back to the plate: warp, colour match, grain, blend; and the report a person judges it by.

Shape letters: T frames, H W plate, h w crop. RGB everywhere. Two pictures of the same moment meet here, so names say
which one is meant: *plate* pixels are the original's in its own dtype and colour space, *display* values are
display-referred RGB in [0, 1] as the network sees them.
"""
