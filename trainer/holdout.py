"""Seconds of an actor that fine-tuning never sees: some to choose by, others to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainer.batches import MIN_FRAMES
from trainer.corpus import seconds_of
from trainer.dataset import Clip, DatasetError, select

JUDGE_SHARE, JUDGE_MIN_S, JUDGE_MAX_S = 0.15, 2.6, 20.0
CHOOSE_SHARE, CHOOSE_MIN_S, CHOOSE_MAX_S = 0.10, 2.6, 10.0
GAP_S = 0.5  #: left out between what is learnt and what is held out: neighbours look alike
LEAST_S = 10.0  #: that must be left to learn from
_SCORABLE_S = 2.4  #: a shorter piece has no references a second away from its targets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """One actor's footage in three."""

    learn: list[Clip]
    choose: list[Clip]  #: which of the averaged weights is best
    judge: list[Clip]  #: before and after


def hold_out(clips: Sequence[Clip]) -> Split:
    """Take the ends of the last clips away: the last seconds to judge by, those before them to choose by.

    Raises:
        DatasetError: too little would be left.
    """
    total = seconds_of(clips)
    judge_s = float(np.clip(JUDGE_SHARE * total, JUDGE_MIN_S, JUDGE_MAX_S))
    choose_s = float(np.clip(CHOOSE_SHARE * total, CHOOSE_MIN_S, CHOOSE_MAX_S))
    rest, judge = _take(list(clips), judge_s)
    rest, choose = _take(rest, choose_s)
    learn = [clip for clip in rest if len(clip) >= MIN_FRAMES]
    if not judge or not choose or seconds_of(learn) < LEAST_S:
        needed = LEAST_S + JUDGE_MIN_S + CHOOSE_MIN_S + 2 * GAP_S
        msg = (
            f"there are {total:.1f} s of usable footage of this person, about {needed:.0f} s are needed to learn from "
            "some and judge by the rest; add clips of the same person speaking, each longer than 3 s"
        )
        raise DatasetError(msg)
    return Split(learn=learn, choose=choose, judge=judge)


def speakers_of(clips: Sequence[Clip]) -> str:
    """Who is in the clips, for a header."""
    return ", ".join(sorted({clip.header.speaker for clip in clips}))


def work_folder(output: Path) -> Path:
    """Where fine-tuning keeps what it makes on the way, and its report."""
    return output.with_name(f"{output.stem}.finetune")


def _take(clips: list[Clip], seconds: float) -> tuple[list[Clip], list[Clip]]:
    """Cut so many seconds off the ends, last clip first: what is left, and what was taken."""
    taken: list[Clip] = []
    while clips and seconds_of(taken) < seconds - 0.1:
        missing = max(seconds - seconds_of(taken), _SCORABLE_S)
        *clips, last = clips
        whole = len(last) / last.header.rate
        if whole < _SCORABLE_S:  # cannot be scored: learn from it, look further
            rest, more = _take(clips, seconds - seconds_of(taken))
            return [*rest, last], [*taken, *more]
        if whole < missing + GAP_S + _SCORABLE_S:
            taken.append(last)
            continue
        cut = last.times_s[-1] - missing
        held = np.flatnonzero(last.times_s > cut)
        taken.append(select(last, held, f"{last.header.name} (end)"))
        clips.append(select(last, np.flatnonzero(last.times_s <= cut - GAP_S)))
    return clips, taken
