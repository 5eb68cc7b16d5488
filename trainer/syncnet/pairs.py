"""Batches of pictures and sound for SyncNet: moments of several clips, each moment's sound wrong for all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from julnet_plugin.model.lips import LipBasis
from trainer.config import SyncTraining
from trainer.dataset import DatasetError
from trainer.syncnet.views import Views


class PairBatch(NamedTuple):
    """Pictures and sound, row i of both about the same moment.

    Shape:
        pictures: (B, frames, 3, h, w) RGB in [0, 1].
        audio: (B, W, D).
        lips: (B, frames · K) lip shapes.
        wrong: (B, B) bool, where sound j is wrong for pictures i: other clips, and the same clip at another time.
    """

    pictures: Tensor
    audio: Tensor
    lips: Tensor
    wrong: Tensor

    def to(self, device: torch.device) -> PairBatch:
        """The same on another device."""
        return self if device.type == "cpu" else PairBatch(*(x.to(device, non_blocking=True) for x in self))


class Pairs:
    """Draws batches; the same seed and number give the same batch."""

    def __init__(self, views: Sequence[Views], settings: SyncTraining, basis: LipBasis, seed: int = 0) -> None:
        """Take clips.

        Raises:
            DatasetError: fewer than two clips have enough moments.
        """
        self.views = [v for v in views if len(v.middles) >= 2 * settings.moments]
        if len(self.views) < 2:
            msg = (
                f"{len(self.views)} clips hold {2 * settings.moments} frames with their neighbours, and SyncNet learns "
                "from several; prepare more footage"
            )
            raise DatasetError(msg)
        self.settings, self.seed = settings, seed
        self.mirror = basis.mirrored()
        weight = np.sqrt([len(v.middles) for v in self.views])
        self.weight = weight / weight.sum()

    def draw(self, step: int) -> PairBatch:
        """The batch of one step: `clips` clips, `moments` of each."""
        rng = np.random.default_rng([self.seed, step])
        count = min(self.settings.clips, len(self.views))
        chosen = rng.choice(len(self.views), count, replace=False, p=self.weight)
        parts = [self._draw_clip(self.views[k], rng) for k in chosen]
        times = np.concatenate([times for *_, times in parts])
        clip_of = np.repeat(chosen, self.settings.moments)
        same = clip_of[:, None] == clip_of
        apart = np.abs(times[:, None] - times) >= self.settings.apart_s
        return PairBatch(
            pictures=torch.from_numpy(np.concatenate([p for p, *_ in parts])),
            audio=torch.from_numpy(np.concatenate([a for _, a, *_ in parts])),
            lips=torch.from_numpy(np.concatenate([lips for _, _, lips, _ in parts])),
            wrong=torch.from_numpy(~same | apart),
        )

    def _draw_clip(
        self, views: Views, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        s = self.settings
        middles = rng.choice(views.middles, s.moments, replace=False)
        pictures = views.stacks(middles).astype(np.float32) / 255  # (F, frames, h, w, 3)
        lips = views.lip_stacks(middles)
        if rng.random() < 0.5:
            pictures = pictures[:, :, :, ::-1]
            lips = (lips.reshape(s.moments, views.frames, -1) @ self.mirror).reshape(s.moments, -1)
        pictures = _shifted(_shaded(pictures, s.jitter, rng), s.shift, rng)
        audio = views.windows(middles)
        audio += s.feature_noise * rng.standard_normal(audio.shape).astype(np.float32)
        tensor = np.ascontiguousarray(pictures.transpose(0, 1, 4, 2, 3))
        return tensor, audio, np.ascontiguousarray(lips, np.float32), views.sound_s[middles]


def _shaded(pictures: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Exposure, contrast and white balance, one change for a clip."""
    gain = np.exp(strength * (rng.standard_normal(3) * 0.5 + rng.standard_normal())).astype(np.float32)
    gamma = np.float32(np.exp(strength * rng.standard_normal()))
    return np.asarray(np.clip(np.power(pictures, gamma) * gain, 0, 1), np.float32)


def _shifted(pictures: NDArray[np.float32], share: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A whole clip moved by up to a share of its size, edges repeated: crops do not all sit alike."""
    height, width = pictures.shape[2:4]
    down, right = (int(rng.integers(-k, k + 1)) for k in (round(share * height), round(share * width)))
    rows = np.clip(np.arange(height) + down, 0, height - 1)
    columns = np.clip(np.arange(width) + right, 0, width - 1)
    return np.asarray(pictures[:, :, rows][:, :, :, columns])
