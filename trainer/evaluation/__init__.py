"""How a model is judged: reconstruction, dubbing with foreign sound, and movies against their truth.

`blocks` says which frames may serve as references, `methods` fill the mask, `render` draws, `scores` measures one clip,
`reconstruction` and `dubbing` are the two protocols, `movies` scores pictures from anywhere, `report` writes it all
down.
"""
