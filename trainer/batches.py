"""Batches of a training run, drawn from prepared clips that lie decoded in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from julnet_plugin.face.crop import region_mask
from julnet_plugin.model.lips import LipBasis, closed_shape, inner_gap
from trainer.config import DataSettings
from trainer.dataset import Clip


class Batch(NamedTuple):
    """One training batch. G clips, F targets of each, B = G * F; the targets of one clip lie side by side.

    Shape:
        target: (B, 3, h, w) RGB in [0, 1].
        mask: (B, 1, h, w), 1 where the network paints.
        lips: (B, K) lip shape to paint.
        refs: (G, N, 3, h, w), most closed mouth first.
        ref_lips: (G, N + 1, 48, 3) lips of the references in face units, and last the clip's closed mouth.
    """

    target: Tensor
    mask: Tensor
    lips: Tensor
    refs: Tensor
    ref_lips: Tensor


@dataclass(slots=True)
class _Pool:
    """A clip ready for drawing."""

    crops: NDArray[np.uint8]  # (T, h, w, 3)
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
    ) -> None:
        self.settings, self.size, self.n_refs, self.seed = settings, size, n_refs, seed
        self.pools = [
            pool
            for clip, codes in zip(clips, heard, strict=True)
            if (pool := _pool(clip, codes, basis, size, settings)) is not None
        ]
        if not self.pools:
            msg = f"no clip has frames of {size[0]} x {size[1]} with a mouth of {settings.min_mouth_px:g} px or more"
            raise ValueError(msg)
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
        )

    def _draw_clip(self, pool: _Pool, rng: np.random.Generator) -> Batch:
        s = self.settings
        targets = _near(pool.times_s, s, rng)
        refs = draw_references(pool.gap, pool.times_s, pool.times_s[targets], self.n_refs, s.distance_s, rng)
        lips = pool.heard_codes[targets].copy()
        told = rng.random(len(targets)) < s.teacher
        noise = s.teacher_noise * rng.standard_normal(lips.shape).astype(np.float32)
        lips[told] = (pool.true_codes[targets] + noise)[told]
        lips[rng.random(len(targets)) < s.silence] = 0
        masks = np.stack([region_mask(pool.region[t], self.size) for t in targets])
        pictures = pool.crops[np.concatenate([targets, refs])].astype(np.float32) / 255
        if rng.random() < 0.5:
            pictures, masks = pictures[:, :, ::-1], masks[:, :, ::-1]
        pictures = _jitter(pictures, s.jitter, rng)
        tensor = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
        return Batch(
            target=tensor[: len(targets)],
            mask=torch.from_numpy(np.ascontiguousarray(masks))[:, None],
            lips=torch.from_numpy(lips),
            refs=tensor[len(targets) :][None],
            ref_lips=torch.from_numpy(np.concatenate([pool.lips[refs], pool.closed[None]]))[None],
        )


def draw_references(
    gap: NDArray[np.float64],
    times_s: NDArray[np.float64],
    targets_s: NDArray[np.float64],
    count: int,
    distance_s: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Frames far from the targets that spread over the mouth's opening, most closed first.

    Where too few frames are far enough, the farthest ones serve.
    """
    distance = np.abs(times_s[:, None] - targets_s).min(axis=1)
    allowed = np.flatnonzero(distance >= distance_s)
    if len(allowed) < 2 * count:
        allowed = np.argsort(distance)[-max(len(times_s) // 2, count) :]
    order = allowed[np.argsort(gap[allowed], kind="stable")]
    edges = np.linspace(0, len(order), count + 1)
    picks = [order[min(int(rng.uniform(a, b)), len(order) - 1)] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    return np.array(picks, np.int64)


def _near(times_s: NDArray[np.float64], s: DataSettings, rng: np.random.Generator) -> NDArray[np.int64]:
    centre = times_s[rng.integers(len(times_s))]
    near = np.flatnonzero(np.abs(times_s - centre) <= s.spread_s / 2)
    return np.asarray(rng.choice(near, s.frames, replace=len(near) < s.frames), np.int64)


def _pool(
    clip: Clip, heard: NDArray[np.float32], basis: LipBasis, size: tuple[int, int], s: DataSettings
) -> _Pool | None:
    if not clip.jpeg or clip.header.crop_size < size:
        return None
    keep = np.flatnonzero(clip.mouth_px >= s.min_mouth_px)
    if len(keep) < 20:
        return None
    crops = np.stack([cv2.resize(clip.crop(k), (size[1], size[0]), interpolation=cv2.INTER_AREA) for k in keep])
    true_codes = basis.encode(clip.lips, closed_shape(clip.lips))
    return _Pool(
        crops=crops,
        region=clip.region[keep],
        times_s=clip.times_s[keep],
        lips=clip.lips[keep],
        closed=closed_shape(clip.lips).astype(np.float32),
        gap=inner_gap(clip.lips)[keep],
        true_codes=true_codes[keep],
        heard_codes=heard[keep],
    )


def _jitter(pictures: NDArray[np.float32], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Change exposure, contrast and white balance of all pictures of a clip alike."""
    if strength == 0:
        return pictures
    gain = np.exp(strength * rng.standard_normal(3) * 0.5 + strength * rng.standard_normal()).astype(np.float32)
    gamma = np.float32(np.exp(strength * rng.standard_normal()))
    return np.clip(np.power(np.clip(pictures, 0, 1), gamma) * gain, 0, 1)
