"""The dubbing protocol: do the lips follow the new sound, and let go of the old?

A clip is dubbed with another speaker's sound. There is no true picture, so the drawn lips are measured: how far their
opening goes with that of the speaker who made the sound, and with its loudness, and how far still with the plate's own
lips and loudness, which they must no longer know. With a silent dub the mouth must be closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.model.lips import inner_gap
from trainer.dataset import Clip, ClipHeader, read_clip, read_header
from trainer.evaluation.blocks import Block
from trainer.evaluation.landmarks import CropLandmarks
from trainer.evaluation.methods import Method
from trainer.evaluation.reconstruction import ProgressFn
from trainer.evaluation.render import render_clip
from trainer.lipshape import windows_of
from trainer.metrics import Estimate, best_correlation, correlation, over_speakers

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: Columns of known audio features that hold log-loudness by band; their mean is a speech envelope.
LOUDNESS_COLUMNS = {"phone-mel-82": slice(42, 82)}
LAG_S = 0.2  #: the best lag is looked for within
OPEN_SHARE = 0.25  #: of the way from the speaker's closed to open mouth, above which a mouth counts as open
MIN_FRAMES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DubScores:
    """One clip, dubbed with another's sound and with silence. Correlations are over time; NaN where unknown."""

    name: str
    speaker: str
    dub: str  #: name of the clip that gave the sound
    frames: int
    drawn_with_dub_lips: float  #: opening of the drawn lips with that of the speaker who made the sound
    drawn_with_plate_lips: float  #: with that of the plate's own lips
    dub_with_plate_lips: float  #: of those two with each other: what chance alone gives
    drawn_with_dub_lips_at_best_lag: float
    drawn_with_plate_lips_at_best_lag: float
    drawn_with_dub_loudness: float
    drawn_with_plate_loudness: float
    dub_with_plate_loudness: float  #: of the two loudnesses with each other
    true_with_own_loudness: float  #: the plate's true lips with its own loudness: what a real speaker reaches
    silent_opening: float  #: mean opening under silence, 0 = the speaker's closed mouth, 1 = open
    silent_open_frames: float  #: share of frames above `OPEN_SHARE` under silence


def follow_lips(
    paths: Sequence[Path],
    method: Method,
    landmarks: CropLandmarks,
    silence: Float32,
    seconds: float = 6.0,
    progress: ProgressFn | None = None,
) -> tuple[list[DubScores], dict[str, str]]:
    """Dub every clip with the sound of another speaker and with silence, and measure the lips.

    Args:
        paths: prepared clips; each is dubbed with the next one of another speaker.
        method: what draws.
        landmarks: the face mesh.
        silence: (D,) audio features of silence.
        seconds: at most so much of each clip, from its beginning.
        progress: `progress("dub", done, total)` after every clip.

    Returns:
        Scores, and for clips that could not be dubbed why.
    """
    headers = {path: read_header(path) for path in paths}
    scores, skipped = [], {}
    for number, path in enumerate(paths):
        clip = read_clip(path)
        partner = _partner(path, headers)
        dub = None if partner is None else read_clip(partner, pictures=False)
        frames = frames_to_dub(clip, dub, seconds)
        if dub is None:
            skipped[clip.header.name] = "there is no clip of another speaker to dub it with"
        elif not clip.jpeg or len(frames) < MIN_FRAMES:
            skipped[clip.header.name] = f"fewer than {MIN_FRAMES} frames to dub"
        else:
            scores.append(_dub(clip, dub, frames, method, landmarks, silence))
        if progress is not None:
            progress("dub", number + 1, len(paths))
    return scores, skipped


def summarise_dubbing(scores: Sequence[DubScores]) -> dict[str, Any]:
    """Means over speakers with their intervals, and how many clips follow the dub more than the plate."""
    names = [n for n in DubScores.__dataclass_fields__ if n not in ("name", "speaker", "dub", "frames")]
    table: dict[str, Any] = {n: _estimate(_over(scores, n)) for n in names}
    table["clips"] = len(scores)
    table["clips_following_the_dub"] = sum(s.drawn_with_dub_lips > s.drawn_with_plate_lips for s in scores)
    return table


def frames_to_dub(clip: Clip, dub: Clip | None, seconds: float) -> NDArray[np.int64]:
    """The first frames of a clip, as many as the dub lasts."""
    if dub is None:
        return np.zeros(0, np.int64)
    spent = clip.times_s - clip.times_s[0]
    length = min(seconds, float(dub.times_s[-1] - dub.times_s[0]))
    return np.flatnonzero(spent <= length + 1e-6)


def loudness(clip: Clip, at_s: Float64) -> Float64:
    """Speech envelope at moments of the clip's sound, in any logarithmic unit; NaN where the clip holds none."""
    bands = _loudness_steps(clip)
    if bands is None:
        return np.full(len(at_s), np.nan)
    centres = (np.arange(len(bands)) + 0.5) * clip.header.feature_step_s
    # A syllable opens the mouth over about 80 ms; the envelope is smoothed to that.
    width = max(1, round(0.08 / clip.header.feature_step_s))
    smooth = np.convolve(np.pad(bands, width, mode="edge"), np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    return np.interp(at_s, centres, smooth)


def _loudness_steps(clip: Clip) -> Float64 | None:
    """Loudness of each feature step: stored with the clip, or among its features; None without either."""
    stored: Float64 | None = getattr(clip, "loudness", None)
    if stored is not None and len(stored):
        return stored
    columns = LOUDNESS_COLUMNS.get(clip.header.features)
    return None if columns is None else np.asarray(clip.audio[:, columns].mean(axis=1), np.float64)


def openness(aperture: Float64, plate: Float64) -> Float64:
    """Lip opening in units of the speaker's own range: 0 = the 10th percentile of the plate's, 1 = the 95th."""
    closed, open_ = np.nanpercentile(plate, [10, 95])
    return np.asarray((aperture - closed) / max(open_ - closed, 1e-3))


def _dub(
    clip: Clip, dub: Clip, frames: NDArray[np.int64], method: Method, landmarks: CropLandmarks, silence: Float32
) -> DubScores:
    dub_times = clip.times_s - clip.times_s[0] + dub.times_s[0] + dub.header.offset_s
    foreign = feature_windows(dub.audio, dub_times, dub.header.feature_step_s)
    silent = np.broadcast_to(silence, windows_of(clip).shape).astype(np.float32)

    # As in a real shot, every frame may be a reference: that is what could leak the plate's lips.
    block = Block(frames, np.arange(len(clip)))
    spoken, hushed = (render_clip(clip, method, [block], audio) for audio in (foreign, silent))

    def opening(pictures: NDArray[np.uint8]) -> Float64:
        return landmarks.aperture(*landmarks(pictures))

    drawn, plate, still = opening(spoken.image), opening(spoken.truth), opening(hushed.image)
    their_lips = np.interp(dub_times[frames] - dub.header.offset_s, dub.times_s, inner_gap(dub.lips))
    own = loudness(clip, clip.times_s[frames] + clip.header.offset_s)
    theirs = loudness(dub, dub_times[frames])
    reach = max(1, round(LAG_S * clip.header.rate))
    quiet = openness(still, plate)
    return DubScores(
        name=clip.header.name,
        speaker=clip.header.speaker,
        dub=dub.header.name,
        frames=len(frames),
        drawn_with_dub_lips=correlation(drawn, their_lips),
        drawn_with_plate_lips=correlation(drawn, plate),
        dub_with_plate_lips=correlation(their_lips, plate),
        drawn_with_dub_lips_at_best_lag=best_correlation(drawn, their_lips, reach)[0],
        drawn_with_plate_lips_at_best_lag=best_correlation(drawn, plate, reach)[0],
        drawn_with_dub_loudness=correlation(drawn, theirs),
        drawn_with_plate_loudness=correlation(drawn, own),
        dub_with_plate_loudness=correlation(theirs, own),
        true_with_own_loudness=correlation(plate, own),
        silent_opening=_mean(quiet),
        silent_open_frames=_mean(np.where(np.isfinite(quiet), quiet > OPEN_SHARE, np.nan)),
    )


def _partner(path: Path, headers: dict[Path, ClipHeader]) -> Path | None:
    """The next clip of another speaker with the same features, round and round."""
    paths, own = list(headers), headers[path]
    start = paths.index(path)
    for other in paths[start + 1 :] + paths[:start]:
        if headers[other].speaker != own.speaker and headers[other].features == own.features:
            return other
    return None


def _mean(values: Float64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _over(scores: Sequence[DubScores], name: str) -> Estimate:
    table: dict[str, list[float]] = {}
    for s in scores:
        table.setdefault(s.speaker, []).append(float(getattr(s, name)))
    return over_speakers(table)


def _estimate(value: Estimate) -> dict[str, float]:
    return {"mean": value.mean, "low": value.low, "high": value.high, "count": value.count}
