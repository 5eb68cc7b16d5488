"""The uncertainty matte: from the model's σ to something a compositor can read, edit and paint.

σ -> levels -> grow/shrink -> edge-aware refinement -> blur -> temporal smoothing -> painted strokes -> matte.

Everything lives in **face space**, the stabilised crop: an edit made on one frame stays on the lip it was made on while
the head moves. σ is never overwritten; the matte is derived from it again after every edit, without the model.
White (1) means *look here*. Shape letters: T frames, h w crop. Frames count from 0 at the plate's first frame.
"""
