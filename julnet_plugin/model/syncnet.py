"""SyncNet: whether five mouth pictures and a stretch of sound belong together.

Source: JULNet (ICMR 2025) §3.4.4: a visual and an audio encoder trained with a contrastive loss, after SyncNet
(Chung & Zisserman 2016). Layer plan our own, small enough to train on a CPU. No normalisation depends on the batch, so
a pair's score doesn't depend on the pairs beside it; the first one takes out the features' overall level and scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from julnet_plugin.model.generator import AUDIO_WINDOW, mouth_square

FRAMES = 5  #: consecutive pictures that are judged together
_LIPS = (0.25, 1.0, 0.125, 0.875)  #: top, bottom, left, right of what SyncNet sees, in parts of the mouth square's side


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncNetConfig:
    """What decides the shape of a SyncNet."""

    audio_size: int = 42  #: D
    audio_window: int = AUDIO_WINDOW  #: W, steps of 20 ms centred on the middle frame
    image_size: tuple[int, int] = (64, 64)  #: h, w of the mouth pictures
    frames: int = FRAMES
    width: int = 32  #: channels after the first convolution
    embedding: int = 256  #: length of both embeddings
    dropout: float = 0.0  #: while training

    def __post_init__(self) -> None:
        if any(edge < 16 or edge % 16 for edge in self.image_size):
            msg = f"image_size must be a multiple of 16 both ways, got {self.image_size}"
            raise ValueError(msg)
        sizes = (self.audio_size, self.audio_window, self.frames, self.width, self.embedding)
        if not all(1 <= size <= 4096 for size in sizes):
            msg = "every size of a SyncNet must lie in 1..4096"
            raise ValueError(msg)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must lie in 0..1, got {self.dropout:g}"
            raise ValueError(msg)


class _Conv(nn.Module):
    """3x3 convolution, group normalisation, SiLU, in two dimensions or one."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dims: int = 2) -> None:
        super().__init__()
        kind = nn.Conv2d if dims == 2 else nn.Conv1d
        self.conv = kind(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.GroupNorm(math.gcd(outputs, 8), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(x)))


class SyncNet(nn.Module):
    """Embeds pictures and sound so that the cosine says how well they fit.

    Shape:
        pictures: (B, frames, 3, h, w) RGB in [0, 1], what `mouth_view` cuts from crops.
        audio: (B, W, D) features centred on the middle frame.
        returns: (B,) cosine in [-1, 1]; the paper's syncnet(A, I) of Eq. (13).
    """

    def __init__(self, config: SyncNetConfig) -> None:
        super().__init__()
        self.config = config
        self.crop_size, self.audio_size, self.audio_window = config.image_size, config.audio_size, config.audio_window
        C, E = config.width, config.embedding
        seen = 4 * C * (config.image_size[0] // 16) * (config.image_size[1] // 16)
        self.visual_encoder = nn.Sequential(
            _Conv(3 * config.frames, C, stride=2),
            _Conv(C, 2 * C, stride=2), _Conv(2 * C, 2 * C),
            _Conv(2 * C, 4 * C, stride=2), _Conv(4 * C, 4 * C),
            _Conv(4 * C, 4 * C, stride=2),
            nn.Flatten(), nn.Dropout(config.dropout), nn.Linear(seen, E),
        )  # fmt: skip
        self.audio_encoder = nn.Sequential(
            _Conv(config.audio_size, 4 * C, dims=1), nn.Dropout(config.dropout), _Conv(4 * C, 4 * C, dims=1),
            _Conv(4 * C, 4 * C, stride=2, dims=1), nn.Dropout(config.dropout), _Conv(4 * C, 4 * C, stride=2, dims=1),
            nn.Flatten(), nn.Dropout(config.dropout), nn.Linear(4 * C * -(-config.audio_window // 4), E),
        )  # fmt: skip
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.07)))  #: of the contrastive loss

    def forward(self, pictures: Tensor, audio: Tensor) -> Tensor:
        """See the class."""
        return (self.embed_pictures(pictures) * self.embed_audio(audio)).sum(dim=1)

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        """(B, frames, 3, h, w) to unit vectors (B, E)."""
        return F.normalize(self.visual_encoder(pictures.flatten(1, 2)), dim=1)

    def embed_audio(self, audio: Tensor) -> Tensor:
        """(B, W, D) to unit vectors (B, E)."""
        return F.normalize(self.audio_encoder(audio.transpose(1, 2)), dim=1)

    def logits(self, pictures: Tensor, audio: Tensor) -> Tensor:
        """Every picture sequence against every sound, over the temperature: what a contrastive loss takes.

        Shape:
            (A, frames, 3, h, w) and (B, W, D) to (A, B); on the diagonal of a batch are the pairs that belong together.
        """
        cosine = self.embed_pictures(pictures) @ self.embed_audio(audio).T
        return cosine / self.log_temperature.exp()

    def mouth_view(self, crops: Tensor) -> Tensor:
        """What SyncNet looks at: the lips and chin of every crop, at its own size; differentiable.

        Shape:
            crops: (..., 3, h, w), h and w 13 and 10 times the same number.
            returns: (..., 3, *image_size).
        """
        square = mouth_square(*crops.shape[-2:])
        top, bottom, left, right = (round(part * square.side) for part in _LIPS)
        lips = crops[..., square.top + top : square.top + bottom, square.left + left : square.left + right]
        flat = F.interpolate(lips.flatten(0, -4), size=self.config.image_size, mode="bilinear", antialias=True)
        return flat.reshape(*lips.shape[:-2], *self.config.image_size)
