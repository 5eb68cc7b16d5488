"""The network: generators, their uncertainty module, weights files and the engines that run them.

Shape letters, everywhere in this package:
`B` batch, `T` frames, `N` reference frames, `C` channels, `H W` plate, `h w` crop, `L` landmarks, `S` audio steps,
`W` steps in an audio window (21 of 20 ms), `D` audio feature size. Tensors are (B, C, H, W); arrays at the boundary
are (T, h, w, 3). RGB in [0, 1] everywhere.

Importing this package does not import torch; its modules do.
"""
