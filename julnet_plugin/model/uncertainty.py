"""The uncertainty module: a small per-pixel network that any generator can carry.

Source: JULNet (ICMR 2025) §3.2, after SEDNet's head (an MLP per pixel with ELU). Eq. (3) lists the ground truth among
the module's inputs; that does not exist when a shot is re-dubbed, so the module sees what the generator has: its
features, its image and the masked source. The ground truth only supervises.
"""

from __future__ import annotations

import math

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
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.constant_(self.out.bias[:1], math.log(math.expm1(_FIRST_GUESS)))
        nn.init.constant_(self.out.bias[1:], math.log(_FIRST_GUESS))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        raw_error, raw_log_sigma = self.out(self.layers(seen)).float().chunk(2, dim=1)
        # A soft floor: above it τ is nearly the raw value, at it the gradient does not vanish as a clamp's would.
        log_sigma = LOG_SIGMA_FLOOR + F.softplus(raw_log_sigma - LOG_SIGMA_FLOOR)
        return F.softplus(raw_error), log_sigma
