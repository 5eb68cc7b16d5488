"""Faces: find them, follow them, choose one, cut it out steadily.

detect      one picture -> landmarks of its faces
shots       where the clip is cut
track       pictures in order -> every face of every shot (`Tracking`)
speaker     which of them gets the new line
references  which frames show the network who it is drawing
crop        landmarks -> a steady sub-pixel crop
"""
