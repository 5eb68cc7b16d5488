"""AdaAT: deform feature maps by one affine transformation per channel.

Source:
    JULNet (ICMR 2025) Eq. (1), after DINet §3.2. DINet samples a 5-D volume with `align_corners=False` on a grid that
    was normalised for `align_corners=True`: neighbouring channels mix, and the identity is not the identity (RMS change
    0.67 of unit-variance features). Here every channel is sampled in its own plane, so it is, and 4.6 times faster.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

_ALL = slice(None)


def adaat(
    features: Tensor,
    scale: Tensor,
    angle: Tensor,
    translation: Tensor,
    rows: slice = _ALL,
    columns: slice = _ALL,
) -> Tensor:
    """Sample every channel through its own scale, rotation and translation.

    The result at (x, y) is the channel at S·Rot(R)·(x, y) + T, zero where that lies outside.

    Shape:
        features: (B, C, H, W).
        scale: (B, C), 1 = as it is, 0.5 = magnified twice.
        angle: (B, C) in radians.
        translation: (B, C, 2), x then y.
        rows, columns: the part of the result that is wanted; all of it unless said.
        returns: (B, C, H, W), or that part of it, in the dtype of `features`; the sampling itself is done in float32 or
            better.

    Convention:
        x right, y down, both in [-1, 1] from the centre of the first to the centre of the last sample
        (`align_corners=True`); a rotation of a plane that is not square therefore shears in pixels, as DINet's does.

    Source:
        JULNet (ICMR 2025) Eq. (1).
    """
    B, C, H, W = features.shape
    grid = affine_grid(scale, angle, translation, _positions(H, scale)[rows], _positions(W, scale)[columns])
    h, w = grid.shape[2:4]
    planes = features.to(grid.dtype).reshape(B * C, 1, H, W)
    sampled = F.grid_sample(planes, grid.reshape(B * C, h, w, 2), padding_mode="zeros", align_corners=True)
    return sampled.reshape(B, C, h, w).to(features.dtype)


def affine_grid(scale: Tensor, angle: Tensor, translation: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Where every output sample of every channel comes from: Eq. (1), written out.

    `F.affine_grid` does the same with a matrix product; writing it out is faster, and ONNX knows every step of it.

    Shape:
        y: (H,) rows of the result in [-1, 1].
        x: (W,) columns of the result in [-1, 1].
        returns: (B, C, H, W, 2), x then y, in the dtype of `y` and `x`.
    """
    S, R, T = (parameter.to(y.dtype) for parameter in (scale, angle, translation))
    cosine = (S * torch.cos(R))[..., None, None]  # (B, C, 1, 1)
    sine = (S * torch.sin(R))[..., None, None]
    from_x = cosine * x - sine * y[:, None] + T[..., 0, None, None]
    from_y = sine * x + cosine * y[:, None] + T[..., 1, None, None]
    return torch.stack((from_x, from_y), dim=-1)


def _positions(count: int, like: Tensor) -> Tensor:
    """Sample positions from -1 to 1, in float32 or better: half-precision coordinates are coarser than a pixel."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.linspace(-1, 1, count, dtype=dtype, device=like.device)


class AdaATParameters(nn.Module):
    """The parameter encoder: from audio and identity to one scale, angle and translation per channel.

    The heads start at zero, so training starts at the identity: scale 1, angle 0, translation 0.

    Shape:
        condition: (B, size), F_A and F_I side by side.
        returns: scale (B, C) in (0, 2), angle (B, C) in (-π, π), translation (B, C, 2) in (-1, 1).

    Source:
        JULNet (ICMR 2025) §3.1.2; DINet's ranges 2·sigmoid, π·tanh, tanh and its one hidden layer with ReLU.
    """

    def __init__(self, size: int, channels: int, hidden: int | None = None) -> None:
        super().__init__()
        hidden = size if hidden is None else hidden
        self.hidden = nn.Sequential(nn.Linear(size, hidden), nn.ReLU())
        self.scale = _zeroed(nn.Linear(hidden, channels))
        self.angle = _zeroed(nn.Linear(hidden, channels))
        self.translation = _zeroed(nn.Linear(hidden, 2 * channels))

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        hidden = self.hidden(condition)
        scale = 2 * torch.sigmoid(self.scale(hidden))
        angle = math.pi * torch.tanh(self.angle(hidden))
        translation = torch.tanh(self.translation(hidden)).reshape(*scale.shape, 2)  # (B, C, 2)
        return scale, angle, translation


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
