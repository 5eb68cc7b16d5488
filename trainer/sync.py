"""How far the sound of each clip is from its picture, and whether it is the sound of these lips at all.

An encoder that hears lips is compared with the lips that are seen, at every offset within 240 ms. It is taught on other
speakers of the same footage where there is enough of it: offsets differ from clip to clip, so their errors cancel, and
a second round with the first one's corrections is sharper. With little footage a trained model listens instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainer import gates as g
from trainer.lipshape import MAX_OFFSET_S, SHIFTS_S, best_offset, offset_scores
from trainer.teacher import LipTeacher

if TYPE_CHECKING:
    from julnet_plugin.types import ProgressFn
    from trainer.config import LipTraining
    from trainer.dataset import Clip

ENOUGH_S, ENOUGH_SPEAKERS = 240.0, 4  #: of footage, for an ear of its own
_LIMIT_S = 0.3  #: no offset is corrected beyond this
_SURE, _SURE_SHORT = 0.35, 0.5  #: correlation that an offset needs to be believed, and in short footage
_GAIN = 0.02  #: what it must be better than no correction at all
_SHORTEST_S = 2.0  #: among 49 offsets, one fits a shorter clip by chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """What is known of one clip's sound."""

    offset_s: float = 0.0  #: add to a frame's time to find its sound
    confidence: float = 0.0  #: correlation of heard and seen lip opening there
    why: str = ""  #: why it cannot be used, "" where it can


def has_enough(clips: Sequence[Clip]) -> bool:
    """Whether footage suffices to teach an ear of its own."""
    seconds = sum(len(clip) / clip.header.rate for clip in clips)
    return seconds >= ENOUGH_S and len({clip.header.speaker for clip in clips}) >= ENOUGH_SPEAKERS


def measure_with_own_ear(
    clips: Sequence[Clip], settings: LipTraining, gates: g.Gates, progress: ProgressFn | None = None, rounds: int = 2
) -> list[Sync]:
    """Offsets by encoders that are taught on the same footage, none of them on the speaker it listens to.

    An encoder that knew the clip would have learnt its offset along with it. Leaves the clips' headers as they are
    measured.
    """
    found = [Sync() for _ in clips]
    speakers = sorted({clip.header.speaker for clip in clips})
    fold_of = {speaker: k % settings.folds for k, speaker in enumerate(speakers)}
    for _ in range(rounds):
        for fold in range(settings.folds):
            teacher = _taught([c for c in clips if fold_of[c.header.speaker] != fold], settings, progress)
            own = [k for k, clip in enumerate(clips) if fold_of[clip.header.speaker] == fold]
            for k, sync in zip(own, measure([clips[k] for k in own], teacher, gates), strict=True):
                found[k] = sync
        for clip, sync in zip(clips, found, strict=True):
            clip.header = replace(clip.header, offset_s=sync.offset_s, offset_confidence=sync.confidence)
    return found


def _taught(clips: Sequence[Clip], settings: LipTraining, progress: ProgressFn | None) -> LipTeacher:
    """An encoder of these clips, but for those that are held out; clips without pictures weigh less."""
    taught = [clip for clip in clips if clip.header.split != "val"] or list(clips)
    pictures = [clip for clip in taught if clip.header.has_pictures]
    extra = [clip for clip in taught if not clip.header.has_pictures]
    return LipTeacher.taught(pictures or extra, extra if pictures else [], settings, progress=progress)


def measure(clips: Sequence[Clip], teacher: LipTeacher, gates: g.Gates) -> list[Sync]:
    """Offsets of clips by one encoder, on top of those in their headers. Clips of one source share an offset."""
    by_source: dict[str, list[int]] = {}
    for k, clip in enumerate(clips):
        by_source.setdefault(clip.header.source or clip.header.name, []).append(k)
    found = [Sync()] * len(clips)
    for members in by_source.values():
        own = [clips[k] for k in members]
        weights = np.array([len(clip) for clip in own], np.float64)
        scores = np.stack([offset_scores(teacher.encoder, teacher.basis, clip) for clip in own])  # (M, 49)
        together = (scores * weights[:, None]).sum(axis=0) / weights.sum()
        seconds = float(sum(len(clip) / clip.header.rate for clip in own))
        shift, why = _judged(together, seconds, gates)
        at = int(np.argmin(np.abs(SHIFTS_S - shift)))
        for k, clip, score in zip(members, own, scores, strict=True):
            offset = float(np.clip(clip.header.offset_s + shift, -_LIMIT_S, _LIMIT_S))
            found[k] = Sync(offset_s=round(offset, 4), confidence=round(float(score[at]), 4), why=why)
    return found


def _judged(scores: NDArray[np.float64], seconds: float, gates: g.Gates) -> tuple[float, str]:
    """The shift to believe, 0 where it is not sure enough; and why the source cannot be used."""
    shift, best = best_offset(scores)
    if seconds >= gates.sync_from_s and best < gates.min_sync:
        return 0.0, f"lips and sound agree nowhere within {MAX_OFFSET_S:g} s (correlation {best:.2f} at best)"
    sure = best >= (_SURE if seconds >= gates.sync_from_s else _SURE_SHORT)
    if sure and abs(shift) > MAX_OFFSET_S - 0.02:
        return 0.0, f"sound and picture are {MAX_OFFSET_S:g} s apart or more, which is too far to be corrected"
    better = best - scores[len(scores) // 2] >= _GAIN
    return (shift if sure and better and seconds >= _SHORTEST_S else 0.0), ""
