"""One package a host application: thin, dependency-free clients that talk to `julnet worker`.

Nothing here may import torch, Qt or a codec, and no host knows another.
"""
