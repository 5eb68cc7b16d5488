"""Batches of a training run, drawn from prepared clips.

Crops lie decoded in memory as far as that is allowed, the others as the JPEG they were stored as; what is drawn does
not depend on which.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.face.crop import region_mask
from julnet_plugin.model.lips import MIRROR, LipBasis, closed_shape, inner_gap
from trainer.config import DataSettings
from trainer.dataset import Clip, DatasetError, decode_crop

_RATE = 25.0  #: pictures a second of targets in a row
_OFF_S, _TRIES = 0.021, 8  #: how far one may be from its moment, and how often another start is tried
MIN_FRAMES = 20  #: a clip with fewer is passed over: its references would be its targets


class Batch(NamedTuple):
    """One training batch. G clips, F targets of each, B = G * F; the targets of one clip lie side by side.

    Shape:
        target: (B, 3, h, w) RGB in [0, 1].
        mask: (B, 1, h, w), 1 where the network paints.
        lips: (B, K) lip shape to paint.
        refs: (G, N, 3, h, w), most closed mouth first.
        ref_lips: (G, N + 1, 48, 3) lips of the references in face units, and last the clip's closed mouth.
        audio: (B, W, D) sound around each target, for networks that are not told lip shapes.
    """

    target: Tensor
    mask: Tensor
    lips: Tensor
    refs: Tensor
    ref_lips: Tensor
    audio: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return self if device.type == "cpu" else Batch(*(x.to(device, non_blocking=True) for x in self))


class Crops:
    """The crops of a clip at one size, decoded now or when they are drawn.

    Args:
        clip: with pictures.
        frames: which of them.
        size: (h, w); larger than the stored size they are enlarged.
    """

    def __init__(self, clip: Clip, frames: NDArray[np.intp], size: tuple[int, int]) -> None:
        self._name = clip.header.name
        self._jpeg = [clip.jpeg[k] for k in frames]
        self._count, self._size = len(frames), size
        self._decoded: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def decoded_bytes(self) -> int:
        """What keeping them decoded costs."""
        return len(self) * self._size[0] * self._size[1] * 3

    def decode(self) -> None:
        """Keep all of them decoded from now on."""
        self._decoded = self[np.arange(len(self))]
        self._jpeg = []

    def __getitem__(self, frames: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """(K, h, w, 3) RGB."""
        if self._decoded is not None:
            return np.asarray(self._decoded[frames])
        return np.stack([_resized(decode_crop(self._jpeg[k], self._name), self._size) for k in frames])


@dataclass(slots=True)
class _Pool:
    """A clip ready for drawing."""

    crops: Crops
    windows: NDArray[np.float32]  # (S, D) audio features of the whole clip
    step_s: float
    sound_s: NDArray[np.float64]  # (T,) where each frame's sound is
    region: NDArray[np.float32]
    times_s: NDArray[np.float64]
    lips: NDArray[np.float32]
    closed: NDArray[np.float32]
    gap: NDArray[np.float64]
    true_codes: NDArray[np.float32]
    heard_codes: NDArray[np.float32]


class Batches:
    """Draws batches; the same seed and step give the same batch, so a resumed run goes on as it would have."""

    def __init__(
        self,
        clips: Sequence[Clip],
        heard: Sequence[NDArray[np.float32]],
        basis: LipBasis,
        size: tuple[int, int],
        n_refs: int,
        settings: DataSettings,
        seed: int = 0,
        quiet: NDArray[np.float32] | None = None,
    ) -> None:
        """Take clips.

        Args:
            clips: those without pictures, or with too few, are passed over.
            heard: (T, K) lip shapes that sound predicts, a clip each.
            basis: of lip shapes.
            size: (h, w) of the crops to draw.
            n_refs: references of a clip.
            settings: how to draw.
            seed: another one gives other batches.
            quiet: (D,) audio features of silence, for targets that are told nothing; None = 0.

        Raises:
            DatasetError: no clip can be used.
        """
        self.settings, self.size, self.n_refs, self.seed = settings, size, n_refs, seed
        self.mirror = basis.mirrored()
        self.quiet = 0.0 if quiet is None else quiet
        self.pools = [
            pool
            for clip, codes in zip(clips, heard, strict=True)
            if (pool := _pool(clip, codes, basis, size, settings)) is not None
        ]
        if not self.pools:
            msg = (
                f"no clip has {MIN_FRAMES} frames of {size[0]} x {size[1]} and a mouth of "
                f"{settings.min_mouth_px:g} px; add closer footage, or lower data.min_mouth_px"
            )
            raise DatasetError(msg)
        self._decode(settings.decoded_gb * 1e9)
        weight = np.sqrt([len(p.crops) for p in self.pools])
        self.weight = weight / weight.sum()

    def draw(self, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.choice(len(self.pools), self.settings.clips, p=self.weight)
        parts = [self._draw_clip(self.pools[k], rng) for k in chosen]
        return Batch(
            target=torch.cat([p.target for p in parts]),
            mask=torch.cat([p.mask for p in parts]),
            lips=torch.cat([p.lips for p in parts]),
            refs=torch.cat([p.refs for p in parts]),
            ref_lips=torch.cat([p.ref_lips for p in parts]),
            audio=torch.cat([p.audio for p in parts]),
        )

    def _decode(self, budget: float) -> None:
        """Decode clips for good, the shortest first, as long as they fit."""
        for pool in sorted(self.pools, key=lambda p: p.crops.decoded_bytes):
            budget -= pool.crops.decoded_bytes
            if budget < 0:
                return
            pool.crops.decode()

    def _draw_clip(self, pool: _Pool, rng: np.random.Generator) -> Batch:
        s = self.settings
        targets = _near(pool.times_s, s, rng)
        refs = draw_references(pool.gap, pool.times_s, pool.times_s[targets], self.n_refs, s.distance_s, rng, s.narrow)
        lips = pool.heard_codes[targets].copy()
        told = rng.random(len(targets)) < s.teacher
        noise = s.teacher_noise * rng.standard_normal(lips.shape).astype(np.float32)
        lips[told] = (pool.true_codes[targets] + noise)[told]
        deaf = rng.random(len(targets)) < s.silence
        lips[deaf] = 0
        audio = feature_windows(pool.windows, pool.sound_s[targets], pool.step_s)
        audio[deaf] = self.quiet
        masks = np.stack([region_mask(pool.region[t], self.size) for t in targets])
        pictures = pool.crops[np.concatenate([targets, refs])].astype(np.float32) / 255
        ref_lips = np.concatenate([pool.lips[refs], pool.closed[None]])
        if rng.random() < 0.5:
            pictures, masks = pictures[:, :, ::-1], masks[:, :, ::-1]
            lips = lips @ self.mirror
            ref_lips = ref_lips[:, list(MIRROR)] * np.array([-1, 1, 1], np.float32)
        pictures = _jitter(pictures, s.jitter, rng)
        tensor = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        return Batch(
            target=tensor[: len(targets)],
            mask=torch.from_numpy(np.ascontiguousarray(masks))[:, None],
            lips=torch.from_numpy(lips),
            refs=tensor[len(targets) :][None],
            ref_lips=torch.from_numpy(ref_lips)[None],
            audio=torch.from_numpy(audio),
        )


def draw_references(
    gap: NDArray[np.float64],
    times_s: NDArray[np.float64],
    targets_s: NDArray[np.float64],
    count: int,
    distance_s: float,
    rng: np.random.Generator,
    narrow: float = 0.0,
) -> NDArray[np.int64]:
    """Frames far from the targets that spread over the mouth's opening, most closed first.

    Where too few frames are far enough, the farthest ones serve. With the probability `narrow` they spread over a part
    of the opening only, down to a single frame: not every shot shows all that a mouth can do.
    """
    distance = np.abs(times_s[:, None] - targets_s).min(axis=1)
    allowed = np.flatnonzero(distance >= distance_s)
    if len(allowed) < 2 * count:
        allowed = np.argsort(distance)[-max(len(times_s) // 2, count) :]
    order = allowed[np.argsort(gap[allowed], kind="stable")]
    if rng.random() < narrow:
        low, high = np.sort(rng.random(2)) * len(order)
        order = order[int(low) : max(int(high), int(low) + 1)] if rng.random() < 0.7 else order[int(low) :][:1]
    edges = np.linspace(0, len(order), count + 1)
    picks = [order[min(int(rng.uniform(a, b)), len(order) - 1)] for a, b in itertools.pairwise(edges)]
    return np.array(picks, np.int64)


def _near(times_s: NDArray[np.float64], s: DataSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    if s.in_row:
        return _in_row(times_s, s.frames, rng)
    centre = times_s[rng.integers(len(times_s))]
    near = np.flatnonzero(np.abs(times_s - centre) <= s.spread_s / 2)
    return np.asarray(rng.choice(near, s.frames, replace=len(near) < s.frames), np.int64)


def _in_row(times_s: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Frames nearest to so many moments a twenty-fifth of a second apart, from a random one on."""
    length = (count - 1) / _RATE
    starts = np.flatnonzero(times_s <= times_s[-1] - length + 0.5 / _RATE)
    for _ in range(_TRIES):
        wanted = times_s[starts[rng.integers(len(starts))] if len(starts) else 0] + np.arange(count) / _RATE
        near = np.abs(times_s[None] - wanted[:, None]).argmin(axis=1)
        if np.abs(times_s[near] - wanted).max() < _OFF_S and len(set(near)) == count:  # no gap in between
            break
    return np.asarray(near, np.int64)


def _pool(
    clip: Clip, heard: NDArray[np.float32], basis: LipBasis, size: tuple[int, int], s: DataSettings
) -> _Pool | None:
    if not clip.jpeg or (clip.header.crop_size < size and not s.enlarge):
        return None
    keep = np.flatnonzero(clip.mouth_px >= s.min_mouth_px)
    if len(keep) < MIN_FRAMES:
        return None
    true_codes = basis.encode(clip.lips, closed_shape(clip.lips))
    return _Pool(
        crops=Crops(clip, keep, size),
        windows=clip.audio,
        step_s=clip.header.feature_step_s,
        sound_s=(clip.times_s + clip.header.offset_s)[keep],
        region=clip.region[keep],
        times_s=clip.times_s[keep],
        lips=clip.lips[keep],
        closed=closed_shape(clip.lips).astype(np.float32),
        gap=inner_gap(clip.lips)[keep],
        true_codes=true_codes[keep],
        heard_codes=heard[keep],
    )


def _resized(crop: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if crop.shape[:2] == size:
        return crop
    how = cv2.INTER_AREA if crop.shape[0] > size[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (size[1], size[0]), interpolation=how), np.uint8)


def _jitter(pictures: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Change exposure, contrast and white balance of all pictures of a clip alike."""
    if strength == 0:
        return pictures
    gain = np.exp(strength * rng.standard_normal(3) * 0.5 + strength * rng.standard_normal()).astype(np.float32)
    gamma = np.float32(np.exp(strength * rng.standard_normal()))
    return np.asarray(np.clip(np.power(np.clip(pictures, 0, 1), gamma) * gain, 0, 1))
