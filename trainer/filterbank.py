"""A perceptual feature extractor without learnt weights, for machines that hold no VGG file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

LEVELS = 4
ORIENTATIONS = 4
KERNEL = 7
#: Contrast below this is treated as flat: four 8-bit code values, the noise of a compressed picture.
CONTRAST_FLOOR = 4.0 / 255.0
#: Brings the loss near that of VGG-19's first three taps, so that its weight keeps its meaning: on a face,
#: the ratio of the two is 0.5 for noise, 0.8 for another frame, 0.9 for a 1-pixel shift and 1.6 for a blur.
GAIN = 10.0


class FilterBank(nn.Module):
    """Contrast-normalised oriented responses and local texture energy over four octaves.

    What VGG's first layers are liked for, written down instead of learnt: edges of every direction and scale
    (Gabor pairs), seen relative to the contrast around them (so a faint wrinkle counts as a strong one does),
    and how much texture a spot has whatever its exact phase (so that sharp skin with other pores is nearer
    than blurred skin).

    Shape:
        input: (B, 3, h, w) RGB in [0, 1], at least 7 pixels a side, for all octaves 56.
        output: three feature maps an octave: (B, 3, ·, ·) colour, (B, 24, ·, ·) responses, (B, 12, ·, ·)
            energy.

    Source:
        The normalised Laplacian pyramid of Laparra et al., Perceptual image quality assessment (HVEI 2016),
        with oriented filters; local energy as in Portilla & Simoncelli (IJCV 2000).
    """

    filters: Tensor
    opponent: Tensor
    blur: Tensor
    name = "filterbank (weight-free substitute)"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", _gabor_pairs(KERNEL, ORIENTATIONS))
        self.register_buffer("opponent", _opponent_colours())
        binomial = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
        self.register_buffer("blur", torch.outer(binomial, binomial).expand(3, 1, 5, 5).contiguous())

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Colour, responses and energy of each octave, fine first."""
        x = F.conv2d(picture.float(), self.opponent)
        features: list[Tensor] = []
        for _ in range(LEVELS):
            if min(x.shape[-2:]) < KERNEL:
                break  # a small picture has fewer octaves
            features += (GAIN * x, *self._octave(x))
            x = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), self.blur, stride=2, groups=3)
        return features

    def _octave(self, x: Tensor) -> tuple[Tensor, Tensor]:
        B, C, h, w = x.shape
        edge = KERNEL // 2
        planes = F.pad(x, (edge, edge, edge, edge), mode="replicate").reshape(B * C, 1, h + 2 * edge, w + 2 * edge)
        pairs = F.conv2d(planes, self.filters).reshape(B, C, 2, ORIENTATIONS, h, w)
        energy = (pairs.square().sum(dim=2) + 1e-8).sqrt()  # (B, C, O, h, w)
        local = F.avg_pool2d(energy.mean(dim=2), 9, stride=1, padding=4, count_include_pad=False)
        normal = pairs / (CONTRAST_FLOOR + local[:, :, None, None])
        texture = F.avg_pool2d((energy + CONTRAST_FLOOR).log().flatten(1, 2), 4)
        return GAIN * normal.flatten(1, 3), GAIN * texture


def _gabor_pairs(size: int, orientations: int) -> Tensor:
    """(2 · orientations, 1, size, size): even filters, then odd ones; no mean, unit L1 norm."""
    half = size // 2
    y, x = torch.meshgrid(*(torch.arange(-half, half + 1, dtype=torch.float32),) * 2, indexing="ij")
    window = torch.exp(-(x.square() + y.square()) / (2 * 1.6**2))
    even, odd = [], []
    for k in range(orientations):
        angle = math.pi * k / orientations
        phase = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / 4.5)  # a period of 4.5 pixels
        even.append(window * (phase.cos() - (window * phase.cos()).sum() / window.sum()))
        odd.append(window * phase.sin())
    bank = torch.stack(even + odd)
    return (bank / bank.abs().sum(dim=(1, 2), keepdim=True)).unsqueeze(1)


def _opponent_colours() -> Tensor:
    """(3, 3, 1, 1): brightness, red against blue, green against both; orthonormal."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
    unit: Tensor = rows / rows.norm(dim=1, keepdim=True)
    return unit.view(3, 3, 1, 1)
