"""The steps of the built-in effect: what `effect.py` tells in order, one file a step."""
