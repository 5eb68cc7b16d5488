"""Teach the audio branch on lip shape, and measure how far each clip's sound is from its picture."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.model.lips import LipBasis, LipEncoder, closed_shape, inner_gap
from trainer.dataset import Clip

log = logging.getLogger(__name__)

MAX_OFFSET_S = 0.24
_OFFSET_STEP_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class LipTraining:
    """How the audio branch is taught."""

    codes: int = 10
    width: int = 128
    dropout: float = 0.25
    epochs: int = 25
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    feature_noise: float = 0.1  #: standard deviation of noise on the features
    time_jitter_s: float = 0.01  #: random shift of a whole batch's windows
    seed: int = 0


def fit_lip_basis(clips: Sequence[Clip], codes: int) -> LipBasis:
    """Principal components of lip motion over clips, each clip weighing the same per frame."""
    motion = np.concatenate([(c.lips - closed_shape(c.lips)).reshape(len(c), -1) for c in clips]).astype(np.float64)
    # The mean is kept: 0 must stay the closed mouth.
    _, singular, components = np.linalg.svd(motion.T @ motion)
    spread = np.sqrt(singular[:codes] / len(motion))
    return LipBasis(components=components[:codes].astype(np.float32), spread=spread.astype(np.float32))


def windows_of(clip: Clip, shift_s: float = 0.0) -> NDArray[np.float32]:
    """Audio windows (T, 21, D) of a clip's frames, its measured offset applied."""
    times = clip.times_s + clip.header.offset_s + shift_s
    return feature_windows(clip.audio, times, clip.header.feature_step_s)


def train_lip_encoder(
    clips: Sequence[Clip],
    basis: LipBasis,
    settings: LipTraining,
    columns: slice | NDArray[np.int64] = slice(None),
    weights: Sequence[float] | None = None,
) -> LipEncoder:
    """Fit a `LipEncoder` on clips by a robust regression of lip shape.

    Args:
        columns: which audio features to use, for comparisons.
        weights: relative weight of each clip's frames.
    """
    torch.manual_seed(settings.seed)
    audio = torch.from_numpy(np.concatenate([windows_of(c)[..., columns] for c in clips]))
    target = torch.from_numpy(np.concatenate([basis.encode(c.lips, closed_shape(c.lips)) for c in clips]))
    weight = torch.cat([torch.full((len(c),), w) for c, w in zip(clips, weights or [1.0] * len(clips), strict=True)])
    importance = torch.from_numpy(basis.spread / basis.spread[0])
    net = LipEncoder(audio.shape[-1], settings.codes, settings.width, settings.dropout)
    optimiser = torch.optim.AdamW(net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * (len(audio) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, steps, pct_start=0.15)
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.epochs):
        order = torch.randperm(len(audio), generator=generator)
        for k in range(len(audio) // settings.batch):
            index = order[k * settings.batch : (k + 1) * settings.batch]
            window = audio[index]
            window = window + settings.feature_noise * torch.randn(window.shape, generator=generator)
            error = torch.nn.functional.smooth_l1_loss(net(window), target[index], reduction="none", beta=0.5)
            loss = (error * importance).mean(dim=1).mul(weight[index]).sum() / weight[index].sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.inference_mode()
def predicted_gap(
    net: LipEncoder, basis: LipBasis, clip: Clip, shift_s: float = 0.0, columns: slice | NDArray[np.int64] = slice(None)
) -> NDArray[np.float64]:
    """Inner-lip opening (T,) that the sound predicts, in face units relative to the closed mouth."""
    code = net(torch.from_numpy(windows_of(clip, shift_s)[..., columns])).numpy()
    return inner_gap(closed_shape(clip.lips) + basis.decode(code))


def gap_correlation(
    net: LipEncoder, basis: LipBasis, clip: Clip, shift_s: float = 0.0, columns: slice | NDArray[np.int64] = slice(None)
) -> float:
    """Pearson correlation of true and predicted inner-lip opening."""
    return correlation(inner_gap(clip.lips), predicted_gap(net, basis, clip, shift_s, columns))


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson correlation; 0 when either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def measure_offset(net: LipEncoder, basis: LipBasis, clip: Clip) -> tuple[float, float]:
    """How many seconds to add to a frame's time to find its sound, and the correlation there.

    The offset is that of the best correlation of predicted and true lip opening within 240 ms, on top of the clip's
    present one.
    """
    shifts = np.arange(-MAX_OFFSET_S, MAX_OFFSET_S + 1e-9, _OFFSET_STEP_S)
    scores = np.array([gap_correlation(net, basis, clip, float(s)) for s in shifts])
    smooth = np.convolve(np.pad(scores, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    best = int(smooth.argmax())
    return float(shifts[best]), float(scores[best])


def out_of_fold_codes(
    clips: Sequence[Clip], basis: LipBasis, settings: LipTraining, extra: Sequence[Clip] = (), folds: int = 2
) -> list[NDArray[np.float32]]:
    """Lip shapes (T, K) that sound predicts for each clip, by an encoder that never saw the clip's speaker.

    A generator taught with these meets the errors that an unseen speaker's sound will bring, and learns to doubt.

    Args:
        clips: what to predict for.
        extra: clips without pictures that every fold may learn from; half weight.
    """
    speakers = sorted({c.header.speaker for c in clips})
    fold_of = {s: k % folds for k, s in enumerate(speakers)}
    codes: list[NDArray[np.float32]] = [np.zeros((0, settings.codes), np.float32)] * len(clips)
    for fold in range(folds):
        others = [c for c in clips if fold_of[c.header.speaker] != fold]
        weights = [1.0] * len(others) + [0.5] * len(extra)
        net = train_lip_encoder([*others, *extra], basis, settings, weights=weights)
        for k, clip in enumerate(clips):
            if fold_of[clip.header.speaker] == fold:
                with torch.inference_mode():
                    codes[k] = net(torch.from_numpy(windows_of(clip))).numpy()
    return codes
