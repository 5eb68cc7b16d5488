"""The uncertainty module: a small network beside the generator, which any generator can carry.

Source: JULNet (ICMR 2025) §3.2, after SEDNet's head (an MLP per pixel with ELU). Eq. (3) lists the ground truth among
the module's inputs; that does not exist when a shot is re-dubbed, so the module sees what the generator has: its
features, its image and the masked source. The ground truth only supervises.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

LOG_SIGMA_FLOOR = math.log(1 / 255)  #: τ of one 8-bit code value; without it Eq. (4) has no minimum where ε = 0
_FIRST_GUESS = 0.05  #: ε̂ and σ of an untrained head


class UncertaintyHead(nn.Module):
    """Predicts the error map and the uncertainty of every pixel from what is known about that pixel.

    Shape:
        seen: (B, in_channels, h, w), whatever the generator knows about each pixel.
        returns: error (B, 1, h, w) ≥ 0 and log_sigma (B, 1, h, w) ≥ ln(1/255).
    """

    def __init__(self, in_channels: int, hidden: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1), nn.ELU(), nn.Dropout2d(dropout),
            nn.Conv2d(hidden, hidden // 2, 1), nn.ELU(), nn.Dropout2d(dropout),
        )  # fmt: skip
        self.out = nn.Conv2d(hidden // 2, 2, 1)
        _first_guess(self.out)

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        return _maps(self.out(self.layers(seen)))


class _Around(nn.Module):
    """Two 3x3 convolutions and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.elu(self.first(F.elu(x))))  # type: ignore[no-any-return]


class ContextUncertaintyHead(nn.Module):
    """An uncertainty head that also sees what is around a pixel, and what is known of the whole frame.

    A pixel of lip looks much like a pixel of cheek; where it lies in the mouth, and how far this frame's lips are from
    every reference, say more about its error than it says itself. On validation speakers this ranks errors inside the
    mask better than the per-pixel network of the paper (see the model card).

    Shape:
        seen: (B, in_channels, h, w), h and w multiples of 4, whatever the generator knows about each pixel.
        frame: (B, frame_size), whatever it knows about the frame.
        returns: error (B, 1, h, w) ≥ 0 and log_sigma (B, 1, h, w) ≥ ln(1/255).
    """

    def __init__(self, in_channels: int, frame_size: int, width: int = 32) -> None:
        super().__init__()
        self.pixel = nn.Conv2d(in_channels, width, 1)
        self.near = _Around(width)
        self.far_in = nn.Conv2d(width, width, 4, stride=4)
        self.frame = nn.Linear(frame_size, width)
        self.far = nn.Sequential(_Around(width), _Around(width))
        self.near_again = _Around(width)
        self.out = nn.Conv2d(width, 2, 1)
        _first_guess(self.out)

    def forward(self, seen: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        near = self.near(self.pixel(seen))
        far = self.far(self.far_in(F.elu(near)) + self.frame(frame)[..., None, None])
        near = near + F.interpolate(far, scale_factor=4, mode="bilinear", align_corners=False)
        return _maps(self.out(F.elu(self.near_again(near))))


def _first_guess(out: nn.Conv2d) -> None:
    """Let an untrained head say the same everywhere."""
    nn.init.zeros_(out.weight)
    assert out.bias is not None
    nn.init.constant_(out.bias[:1], math.log(math.expm1(_FIRST_GUESS)))
    nn.init.constant_(out.bias[1:], math.log(_FIRST_GUESS))


def _maps(raw: Tensor) -> tuple[Tensor, Tensor]:
    """A head's two channels as error and log_sigma."""
    raw_error, raw_log_sigma = raw.to(torch.promote_types(raw.dtype, torch.float32)).chunk(2, dim=1)
    # A soft floor: above it τ is nearly the raw value, at it the gradient does not vanish as a clamp's would.
    log_sigma = LOG_SIGMA_FLOOR + F.softplus(raw_log_sigma - LOG_SIGMA_FLOOR)
    return F.softplus(raw_error), log_sigma


class NoUncertainty(nn.Module):
    """Stands in for `UncertaintyHead` in a network that is trained without it, and claims to know nothing.

    σ = 1 and ε̂ = 1 everywhere: as wrong as an image in [0, 1] can be. With τ = 0, Eq. (4) is the plain L1 loss.
    """

    def forward(self, seen: Tensor, frame: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) to error and log_sigma, (B, 1, h, w) each."""
        nothing = torch.zeros_like(seen[:, :1], dtype=torch.promote_types(seen.dtype, torch.float32))
        return nothing + 1, nothing
