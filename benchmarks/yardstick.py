"""A plain reading of DINet's network: what speeds are compared with, so that a ratio means the same on any machine.

Own code, random weights, the published shapes (416x320 crop, five references, 29 x 5 audio scores, 19.2 M parameters),
written as the paper draws it: eager PyTorch, float32, batch norm as a layer of its own, every frame encodes its
references, the whole crop is decoded, AdaAT samples a volume. Nothing in it is slower than such code usually is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

ROWS, COLUMNS, REFERENCES = 416, 320, 5
AUDIO_SIZE, AUDIO_STEPS = 29, 5


class PlainDinet(nn.Module):
    """One frame from a masked source, five references and the sound around the frame.

    Shape:
        source (B, 3, h, w), references (B, 15, h, w), audio (B, 29, 5) to (B, 3, h, w) in [0, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        self.source_encoder = nn.Sequential(_same(3, 64, 7), _down(64, 128), _down(128, 256))
        self.reference_encoder = nn.Sequential(_same(3 * REFERENCES, 64, 7), _down(64, 128), _down(128, 256))
        self.id_encoder = nn.Sequential(
            _same(512, 128, 3), _same(128, 128, 11), _same(128, 128, 11), _down(128, 128),
            _same(128, 128, 7), _same(128, 128, 7), _down(128, 128),
            _same(128, 128, 3), _down(128, 128),
            _same(128, 128, 3), _down(128, 128),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.audio_encoder = nn.Sequential(
            _same_1d(AUDIO_SIZE, 128, 5), _Residual(128, nn.Conv1d, nn.BatchNorm1d), _same_1d(128, 128, 3, stride=2),
            _Residual(128, nn.Conv1d, nn.BatchNorm1d), _same_1d(128, 128, 3, stride=2), _same_1d(128, 128, 3),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        )  # fmt: skip
        self.deform_encoder = nn.Sequential(*(_Residual(256) for _ in range(4)))
        self.adaat = _VolumeAdaAT(256, 256)
        self.deform_decoder = nn.Sequential(*(_Residual(256) for _ in range(4)))
        self.decoder = nn.Sequential(
            _same(512, 128, 3), _up(128, 128), _Residual(128), _up(128, 128), nn.Conv2d(128, 3, 7, padding=3),
            nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, source: Tensor, references: Tensor, audio: Tensor) -> Tensor:
        """See the class."""
        seen, shown = self.source_encoder(source), self.reference_encoder(references)
        identity = self.id_encoder(torch.cat([seen, shown], dim=1))
        condition = torch.cat([self.audio_encoder(audio), identity], dim=1)
        deformed = self.deform_decoder(self.adaat(self.deform_encoder(shown), condition))
        return self.decoder(torch.cat([seen, deformed], dim=1))  # type: ignore[no-any-return]


def example(batch: int = 1, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of the right shapes."""
    shapes = ((3, ROWS, COLUMNS), (3 * REFERENCES, ROWS, COLUMNS), (AUDIO_SIZE, AUDIO_STEPS))
    source, references, audio = (torch.rand(batch, *shape, device=device) for shape in shapes)
    return source, references, audio


class _VolumeAdaAT(nn.Module):
    """Scale, rotation and translation of every channel, by sampling the volume of all of them."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.common = nn.Sequential(nn.Linear(condition, channels), nn.ReLU())
        self.scale = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())
        self.angle = nn.Sequential(nn.Linear(channels, channels), nn.Tanh())
        self.translation = nn.Sequential(nn.Linear(channels, 2 * channels), nn.Tanh())

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        B, C, h, w = features.shape
        common = self.common(condition)
        scale, angle = 2 * self.scale(common), torch.pi * self.angle(common)
        shift = self.translation(common).reshape(B, C, 1, 1, 2)
        sine, cosine = (scale * f(angle) for f in (torch.sin, torch.cos))
        turn = torch.stack([cosine, -sine, sine, cosine], dim=-1).reshape(B, C, 1, 1, 2, 2)
        steps = (torch.linspace(-1, 1, size, device=features.device) for size in (w, h))
        plane = torch.stack(torch.meshgrid(*steps, indexing="xy"), dim=-1)
        where = (turn @ plane[..., None]).squeeze(-1) + shift
        depth = torch.linspace(-1, 1, C, device=features.device)[:, None, None, None].expand(B, C, h, w, 1)
        grid = torch.cat([where, depth], dim=-1)
        return F.grid_sample(features[:, None], grid, align_corners=False).squeeze(1)


class _Residual(nn.Module):
    """Pre-activation residual block."""

    def __init__(self, width: int, conv: type = nn.Conv2d, norm: type = nn.BatchNorm2d) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            norm(width), nn.ReLU(), conv(width, width, 3, padding=1),
            norm(width), nn.ReLU(), conv(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


def _same(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return _same(inputs, outputs, 3, stride=2)


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(scale_factor=2), _same(inputs, outputs, 3))


def _same_1d(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())
