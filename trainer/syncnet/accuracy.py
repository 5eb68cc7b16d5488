"""How well a SyncNet tells true sound from sound that is so many frames early or late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from julnet_plugin.model.syncnet import SyncNet
from trainer import metrics
from trainer.syncnet.views import Views

SHIFTS = (1, 2, 3, 5, 7, 10, 15)  #: frames at 25 a second
WINDOW = 25  #: frames: one second
HEADLINE = 10  #: the shift that the headline is about
_AT_ONCE = 64

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncAccuracy:
    """Share of right answers to "is this the true sound, or that?", asked of each clip; guessing scores 0.5.

    Speakers weigh the same. `window` asks by the mean distance over one second, `moment` by one stack of pictures.
    """

    window: dict[int, metrics.Estimate]  #: by shift in frames, early and late taken together
    moment: dict[int, metrics.Estimate]
    lse_d: metrics.Estimate
    lse_c: metrics.Estimate
    per_speaker: dict[str, float]  #: at the headline's shift over windows
    questions: int  #: that the headline's number was made from
    clips: int

    @property
    def headline(self) -> float:
        """True against moved by 10 frames, over one-second windows."""
        return self.window[HEADLINE].mean

    def to_json(self) -> dict[str, object]:
        """For a report."""
        return {
            "true_against_10_frames_over_1_s": _numbers(self.window[HEADLINE]),
            "over_1_s": {str(n): _numbers(e) for n, e in self.window.items()},
            "one_moment": {str(n): _numbers(e) for n, e in self.moment.items()},
            "lse_d_of_the_truth": _numbers(self.lse_d),
            "lse_c_of_the_truth": _numbers(self.lse_c),
            "per_speaker": {k: round(v, 4) for k, v in self.per_speaker.items()},
            "questions": self.questions,
            "clips": self.clips,
        }

    def text(self) -> str:
        """A small table."""
        lines = [f"{'sound moved by':<18}" + "".join(f"{f'±{n} fr':>8}" for n in self.window)]
        for title, row in (("over 1 second", self.window), ("one moment", self.moment)):
            lines.append(f"{title:<18}" + "".join(f"{100 * e.mean:>7.1f}%" for e in row.values()))
        head = self.window[HEADLINE]
        lines.append(
            f"true against ±{HEADLINE} frames over 1 s: {100 * head.mean:.1f} % "
            f"[{100 * head.low:.1f}, {100 * head.high:.1f}] over {head.count} speakers, {self.questions} questions"
        )
        lines.append(f"the truth's own LSE-D {self.lse_d.mean:.3f}, LSE-C {self.lse_c.mean:.3f}")
        return "\n".join(lines)


def sync_accuracy(network: SyncNet, views: Sequence[Views]) -> SyncAccuracy | None:
    """Ask a SyncNet about clips; None where none is long enough for a question."""
    window: dict[int, dict[str, list[float]]] = {n: {} for n in SHIFTS}
    moment: dict[int, dict[str, list[float]]] = {n: {} for n in SHIFTS}
    lse: dict[str, dict[str, list[float]]] = {"d": {}, "c": {}}
    questions = clips = 0
    for one in views:
        video, sound = embeddings(network, one)
        if len(video) < 2:
            continue
        clips += 1
        found = metrics.lip_sync_error(video, sound)
        lse["d"].setdefault(one.speaker, []).append(found.lse_d)
        lse["c"].setdefault(one.speaker, []).append(found.lse_c)
        for n in SHIFTS:
            window[n].setdefault(one.speaker, []).append(metrics.sync_accuracy(video, sound, n, WINDOW))
            moment[n].setdefault(one.speaker, []).append(metrics.sync_accuracy(video, sound, n, 1))
        questions += 2 * len(range(HEADLINE, len(video) - WINDOW - HEADLINE + 1, WINDOW // 5))
    if not questions:
        return None
    headline = {who: float(np.nanmean(v)) for who, v in window[HEADLINE].items() if np.isfinite(v).any()}
    return SyncAccuracy(
        window={n: metrics.over_speakers(v) for n, v in window.items()},
        moment={n: metrics.over_speakers(v) for n, v in moment.items()},
        lse_d=metrics.over_speakers(lse["d"]),
        lse_c=metrics.over_speakers(lse["c"]),
        per_speaker=headline,
        questions=questions,
        clips=clips,
    )


@torch.inference_mode()
def embeddings(network: SyncNet, views: Views) -> tuple[Float64, Float64]:
    """(M, E) of the pictures and of the sound, of the longest run of frames that follow each other."""
    middles = _longest_run(views.middles)
    device = next(network.parameters()).device
    video, sound = [], []
    for start in range(0, len(middles), _AT_ONCE):
        part = middles[start : start + _AT_ONCE]
        pictures = torch.from_numpy(views.stacks(part).transpose(0, 1, 4, 2, 3)).to(device).float() / 255
        video.append(network.embed_pictures(pictures).cpu().numpy())
        sound.append(network.embed_audio(torch.from_numpy(views.windows(part)).to(device)).cpu().numpy())
    return np.concatenate(video).astype(np.float64), np.concatenate(sound).astype(np.float64)


def _longest_run(middles: NDArray[np.int64]) -> NDArray[np.int64]:
    parts = np.split(middles, np.flatnonzero(np.diff(middles) != 1) + 1)
    return max(parts, key=len)


def _numbers(value: metrics.Estimate) -> dict[str, float]:
    return {"mean": round(value.mean, 4), "low": round(value.low, 4), "high": round(value.high, 4)}
