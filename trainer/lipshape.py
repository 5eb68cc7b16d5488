"""Teach the audio branch on lip shape, and measure how far each clip's sound is from its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.model.lips import (
    LipBasis,
    LipEncoder,
    LipEncoders,
    closed_in_silence,
    closed_shape,
    inner_gap,
    new_lip_encoder,
)
from julnet_plugin.pipeline.habit import lip_habit
from trainer.config import LipTraining
from trainer.dataset import Clip, DatasetError

if TYPE_CHECKING:
    from julnet_plugin.types import ProgressFn

Ear = LipEncoder | LipEncoders  #: what hears lips
MAX_OFFSET_S = 0.24
SHIFTS_S = np.arange(-24, 25) * 0.01  #: offsets that are tried


def fit_lip_basis(clips: Sequence[Clip], codes: int) -> LipBasis:
    """Principal components of lip motion over clips, each clip weighing the same per frame."""
    motion = np.concatenate([(c.lips - closed_shape(c.lips)).reshape(len(c), -1) for c in clips]).astype(np.float64)
    # The mean is kept: 0 must stay the closed mouth.
    _, singular, components = np.linalg.svd(motion.T @ motion)
    spread = np.maximum(np.sqrt(singular[:codes] / len(motion)), 1e-6)  # lips that never moved are no division by 0
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
    progress: ProgressFn | None = None,
    ears: int = 1,
) -> Ear:
    """Fit an encoder on clips by a robust regression of lip shape.

    A speaker holds the lips in a way of their own, which no sound tells. Each clip has a constant shape of its own that
    takes this up while the encoder learns (a mixed-effects model), so that it need not learn voices by heart.

    Args:
        clips: pictures are not needed.
        basis: of lip shapes.
        settings: how.
        columns: which audio features to use, for comparisons.
        weights: relative weight of each clip's frames.
        progress: `progress("lips", done, total)` after every epoch.
        ears: encoders from as many beginnings, heard together.

    Raises:
        DatasetError: there is no clip.
    """
    if not clips:
        msg = "the audio branch has nothing to learn from: no clip with sound and lips was given; prepare footage"
        raise DatasetError(msg)
    audio = torch.from_numpy(np.concatenate([windows_of(c)[..., columns] for c in clips]))
    target = torch.from_numpy(np.concatenate([basis.encode(c.lips, closed_shape(c.lips)) for c in clips]))
    weight = torch.cat([torch.full((len(c),), w) for c, w in zip(clips, weights or [1.0] * len(clips), strict=True)])
    owner = torch.cat([torch.full((len(c),), k) for k, c in enumerate(clips)])
    lesson = _Lesson(audio, target, weight, owner, torch.from_numpy(basis.spread / basis.spread[0]))
    several = new_lip_encoder(audio.shape[-1], settings.codes, settings.width, settings.dropout, ears)
    for number in range(ears):
        done = partial(_epoch_done, progress, number * settings.epochs, ears * settings.epochs)
        ear = _one_ear(lesson, replace(settings, seed=settings.seed + number), done)
        (several.ears[number] if isinstance(several, LipEncoders) else several).load_state_dict(ear.state_dict())
    return several.eval()


class _Lesson(NamedTuple):
    """All frames of some clips."""

    audio: Tensor  #: (F, W, D)
    target: Tensor  #: (F, K)
    weight: Tensor  #: (F,)
    owner: Tensor  #: (F,) number of the clip
    importance: Tensor  #: (K,) of each number of a lip shape


def _epoch_done(progress: ProgressFn | None, before: int, total: int, epoch: int) -> None:
    if progress is not None:
        progress("lips", before + epoch, total)


def _one_ear(lesson: _Lesson, settings: LipTraining, done: Callable[[int], None]) -> LipEncoder:
    audio, target, weight, owner, importance = lesson
    torch.manual_seed(settings.seed)
    net = LipEncoder(audio.shape[-1], settings.codes, settings.width, settings.dropout)
    habits = torch.nn.Parameter(torch.zeros(int(owner[-1]) + 1, settings.codes))
    rates = [settings.learning_rate, settings.habit_rate]
    optimiser = torch.optim.AdamW(
        [
            {"params": net.parameters(), "weight_decay": settings.weight_decay},
            {"params": [habits], "weight_decay": 0.0},
        ],
        settings.learning_rate,
    )
    batch = min(settings.batch, len(audio))
    steps = settings.epochs * (len(audio) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, steps, pct_start=0.15)
    generator = torch.Generator().manual_seed(settings.seed)
    for epoch in range(settings.epochs):
        order = torch.randperm(len(audio), generator=generator)
        for k in range(len(audio) // batch):
            index = order[k * batch : (k + 1) * batch]
            window = audio[index]
            window = window + settings.feature_noise * torch.randn(window.shape, generator=generator)
            shape = net(window) + habits[owner[index]]
            error = torch.nn.functional.smooth_l1_loss(shape, target[index], reduction="none", beta=0.5)
            loss = (error * importance).mean(dim=1).mul(weight[index]).sum() / weight[index].sum()
            loss = loss + settings.habit * (habits.square() * importance).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        done(epoch + 1)
    return net.eval()


@torch.inference_mode()
def predicted_gap(
    net: Ear, basis: LipBasis, clip: Clip, shift_s: float = 0.0, columns: slice | NDArray[np.int64] = slice(None)
) -> NDArray[np.float64]:
    """Inner-lip opening (T,) that the sound predicts, in face units relative to the closed mouth."""
    code = net(torch.from_numpy(windows_of(clip, shift_s)[..., columns])).numpy()
    return inner_gap(closed_shape(clip.lips) + basis.decode(code))


def gap_correlation(
    net: Ear, basis: LipBasis, clip: Clip, shift_s: float = 0.0, columns: slice | NDArray[np.int64] = slice(None)
) -> float:
    """Pearson correlation of true and predicted inner-lip opening."""
    return correlation(inner_gap(clip.lips), predicted_gap(net, basis, clip, shift_s, columns))


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson correlation; 0 when either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else 0.0


def offset_scores(net: Ear, basis: LipBasis, clip: Clip) -> NDArray[np.float64]:
    """Correlation of predicted and true lip opening at every shift of `SHIFTS_S`, on top of the clip's offset."""
    return np.array([gap_correlation(net, basis, clip, float(s)) for s in SHIFTS_S])


def best_offset(scores: NDArray[np.float64]) -> tuple[float, float]:
    """The shift where the correlation is best, and the correlation there, both after smoothing over 50 ms."""
    smooth = np.convolve(np.pad(scores, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    best = int(smooth.argmax())
    return float(SHIFTS_S[best]), float(scores[best])


def measure_offset(net: Ear, basis: LipBasis, clip: Clip) -> tuple[float, float]:
    """How many seconds to add to a frame's time to find its sound, and the correlation there.

    The offset is that of the best correlation of predicted and true lip opening within 240 ms, on top of the clip's
    present one.
    """
    return best_offset(offset_scores(net, basis, clip))


@torch.inference_mode()
def heard_codes(net: Ear, clip: Clip) -> NDArray[np.float32]:
    """Lip shapes (T, K) that an encoder hears in a clip."""
    return np.asarray(net(torch.from_numpy(windows_of(clip))).numpy(), np.float32)


@torch.inference_mode()
def drawn_codes(net: Ear, basis: LipBasis, clip: Clip, quiet: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lip shapes (T, K) that a take would draw for a clip's own sound: closed in silence, with the speaker's habit.

    Args:
        net: hears them.
        basis: of lip shapes.
        clip: with lips.
        quiet: (D,) audio features of silence.
    """
    windows = windows_of(clip)
    rest = net(torch.from_numpy(np.tile(quiet, (1, windows.shape[1], 1))))[0]
    lips, speech = (x.numpy() for x in closed_in_silence(torch.from_numpy(heard_codes(net, clip)), rest))
    seen = np.ones(len(clip), np.bool_)
    habit = lip_habit(clip.lips, closed_shape(clip.lips), lips, speech[:, 0], seen, basis, clip.header.rate)
    return np.asarray(lips + habit.shape * speech, np.float32)


def out_of_fold_codes(
    clips: Sequence[Clip],
    basis: LipBasis,
    settings: LipTraining,
    quiet: NDArray[np.float32],
    extra: Sequence[Clip] = (),
    progress: ProgressFn | None = None,
    ears: int = 1,
) -> list[NDArray[np.float32]]:
    """Lip shapes (T, K) that a take would draw for each clip's sound, heard by what never saw the clip's speaker.

    A generator taught with these meets the errors that an unseen speaker's sound will bring, and learns to doubt.
    With fewer speakers than folds the clips are split instead; with fewer clips, one encoder hears what it learnt.

    Args:
        clips: what to predict for.
        basis: of lip shapes.
        settings: how encoders are taught, and how many.
        quiet: (D,) audio features of silence.
        extra: clips without pictures that every fold may learn from, at a lower weight.
        progress: `progress("lips", done, total)` after every epoch of each fold.
        ears: see `train_lip_encoder`.
    """
    fold_of = _folds(clips, settings.folds)
    codes: dict[int, NDArray[np.float32]] = {}
    for fold in range(settings.folds):
        own = [k for k, f in enumerate(fold_of) if f == fold]
        if not own:
            continue
        others = [c for k, c in enumerate(clips) if fold_of[k] != fold] or list(clips)
        weights = [1.0] * len(others) + [settings.extra_weight] * len(extra)
        net = train_lip_encoder([*others, *extra], basis, settings, weights=weights, progress=progress, ears=ears)
        codes |= {k: drawn_codes(net, basis, clips[k], quiet) for k in own}
    return [codes[k] for k in range(len(clips))]


def _folds(clips: Sequence[Clip], folds: int) -> list[int]:
    speakers = sorted({c.header.speaker for c in clips})
    if len(speakers) >= folds:
        return [speakers.index(c.header.speaker) % folds for c in clips]
    if len(clips) >= folds:
        return [k % folds for k in range(len(clips))]
    return [0] * len(clips)
