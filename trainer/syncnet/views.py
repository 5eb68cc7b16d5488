"""What SyncNet sees and hears of a clip: mouth views on a steady 25 frames a second, and the sound around each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.model.lips import LipBasis, closed_shape
from julnet_plugin.model.syncnet import SyncNet
from trainer.dataset import Clip

RATE = 25.0  #: pictures a second that SyncNet is told; footage of another rate is thinned or repeated
_CONTIGUOUS = 1.6  #: frames further apart than so many steps do not follow each other
_AT_ONCE = 32


@dataclass(slots=True, eq=False)
class Views:
    """One clip as SyncNet takes it.

    Shape:
        pictures: (T, h, w, 3) 8-bit RGB.
        sound_s: (T,) where each picture's sound is, the clip's offset applied.
        middles: (M,) pictures that have their neighbours on both sides.
        lips: (T, K) lip shape numbers.
    """

    name: str
    speaker: str
    pictures: NDArray[np.uint8]
    sound_s: NDArray[np.float64]
    middles: NDArray[np.int64]
    lips: NDArray[np.float32]
    audio: NDArray[np.float32]
    step_s: float
    frames: int

    def stacks(self, middles: NDArray[np.integer]) -> NDArray[np.uint8]:  # type: ignore[type-arg]
        """(B, frames, h, w, 3) pictures around each middle."""
        return np.asarray(self.pictures[self._around(middles)])

    def lip_stacks(self, middles: NDArray[np.integer]) -> NDArray[np.float32]:  # type: ignore[type-arg]
        """(B, frames · K) lip shapes around each middle."""
        return np.asarray(self.lips[self._around(middles)].reshape(len(middles), -1))

    def windows(self, middles: NDArray[np.integer]) -> NDArray[np.float32]:  # type: ignore[type-arg]
        """(B, 21, D) sound around each middle."""
        return np.asarray(feature_windows(self.audio, self.sound_s[middles], self.step_s), np.float32)

    def _around(self, middles: NDArray[np.integer]) -> NDArray[np.int64]:  # type: ignore[type-arg]
        reach = self.frames // 2
        return np.asarray(np.asarray(middles)[:, None] + np.arange(-reach, self.frames - reach), np.int64)


def views_of(clip: Clip, network: SyncNet, basis: LipBasis | None = None) -> Views | None:
    """A clip as SyncNet takes it; None where it holds no pictures, or none that follow each other."""
    if not clip.jpeg:
        return None
    chosen = steady_frames(clip.times_s)
    own = clip.times_s[chosen]
    frames = network.config.frames
    reach = frames // 2
    near = np.diff(own) <= _CONTIGUOUS / RATE
    follows = np.array([bool(near[k - reach : k + frames - reach - 1].all()) for k in _inner(len(own), frames)], bool)
    middles = np.array(_inner(len(own), frames), np.int64)[follows]
    if not len(middles):
        return None
    return Views(
        name=clip.header.name,
        speaker=clip.header.speaker,
        pictures=mouth_pictures(clip, chosen, network),
        sound_s=own + clip.header.offset_s,
        middles=middles,
        lips=np.zeros((len(own), 0), np.float32)
        if basis is None
        else basis.encode(clip.lips[chosen], closed_shape(clip.lips)),
        audio=clip.audio,
        step_s=clip.header.feature_step_s,
        frames=frames,
    )


def steady_frames(times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """The frames nearest to a grid of 25 a second; each at most once, so slower footage keeps its own rate."""
    grid = np.arange(times_s[0], times_s[-1] + 0.5 / RATE, 1 / RATE)
    nearest = np.abs(times_s[None] - grid[:, None]).argmin(axis=1) if len(times_s) < 2000 else _nearest(times_s, grid)
    return np.asarray(np.unique(nearest), np.int64)


def mouth_pictures(clip: Clip, frames: NDArray[np.int64], network: SyncNet) -> NDArray[np.uint8]:
    """(T, h, w, 3) what SyncNet sees of each frame."""
    views = []
    for start in range(0, len(frames), _AT_ONCE):
        crops = np.stack([_small(clip.crop(int(k))) for k in frames[start : start + _AT_ONCE]])
        tensor = torch.from_numpy(crops.transpose(0, 3, 1, 2)).float()
        with torch.inference_mode():
            seen = network.mouth_view(tensor)
        views.append(seen.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(views)


def _small(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Half size where the crop is at full size: SyncNet looks at far fewer pixels than either."""
    if crop.shape[0] < 400:
        return crop
    return np.asarray(cv2.resize(crop, (crop.shape[1] // 2, crop.shape[0] // 2), interpolation=cv2.INTER_AREA))


def _inner(count: int, frames: int) -> range:
    return range(frames // 2, count - (frames - frames // 2) + 1)


def _nearest(times_s: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.int64]:
    right = np.clip(np.searchsorted(times_s, grid), 1, len(times_s) - 1)
    return np.asarray(np.where(grid - times_s[right - 1] <= times_s[right] - grid, right - 1, right), np.int64)
