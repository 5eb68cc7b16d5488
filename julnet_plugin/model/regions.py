"""Rectangles of a feature map: what a network has computed, and what the next layer needs of it.

A 3x3 convolution of a part of a picture is wrong one sample deep along the part's edges, unless an edge is the
picture's own, where zero padding is what the whole would have seen too. So a decoder that is asked for a square alone
cuts that square and a halo as deep as the layers that follow, and gets the same numbers inside the square.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from julnet_plugin.model.generator import MouthSquare


class Region(NamedTuple):
    """Half-open rectangle of a feature map: rows top ≤ y < bottom, columns left ≤ x < right."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) in the whole map."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def times(self, factor: int) -> Region:
        """The same rectangle on a map this many times as large."""
        return Region(*(edge * factor for edge in self))

    def cut(self, x: Tensor, want: Region) -> Tensor:
        """The part `want` of a tensor (B, C, h, w) that covers this region."""
        rows = slice(want.top - self.top, want.bottom - self.top)
        columns = slice(want.left - self.left, want.right - self.left)
        return packed(x[..., rows, columns])


def packed(x: Tensor, like: Tensor | None = None) -> Tensor:
    """A part of a (B, C, h, w) tensor without gaps, channels last if they were (or `like`'s are).

    Layers take anything, but what has gaps they lay out anew, with the channels first, and the next layer back again.
    """
    channels_last = (x if like is None else like).stride(1) == 1
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


class Frame(NamedTuple):
    """A crop size and its mouth square; regions of either at any power of two below."""

    rows: int
    columns: int
    square: MouthSquare

    def whole(self, reduced: int) -> Region:
        """All of the map that is `reduced` times smaller than the crop."""
        return Region(0, 0, self.rows // reduced, self.columns // reduced)

    def around_mouth(self, reduced: int, halo: int) -> Region:
        """The mouth square and `halo` samples around it, as far as the map that is `reduced` times smaller has them."""
        whole = self.whole(reduced)
        top, left, side = (edge // reduced for edge in self.square)
        return Region(
            max(top - halo, 0),
            max(left - halo, 0),
            min(top + side + halo, whole.bottom),
            min(left + side + halo, whole.right),
        )
