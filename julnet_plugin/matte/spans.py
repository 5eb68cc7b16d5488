"""From numbers per frame to the few stretches that a person should review, worst first, each with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameStats:
    """What is known of one frame; None where it was not measured."""

    frame: int
    found: bool = True  #: False: the frame passes through
    sigma_mean_cv: float = 0.0  #: mean expected error in the region, code values of 255
    sigma_p95_cv: float = 0.0
    shot: int = 0  #: number of the shot, so that spans never cross a cut
    yaw_deg: float | None = None
    pitch_deg: float | None = None
    mouth_px: float | None = None  #: side of the mouth square in the plate
    luma: float | None = None  #: mean display luma of the region
    sharpness: float | None = None  #: any measure that grows with detail; compared with the take's median
    occluded: float | None = None  #: share of the mouth that something lies over
    hidden: bool = False  #: the plate stays because of that
    mouth_outlier: float | None = None  #: deviations of the lip shape from those that the model was taught
    reference_deg: float | None = None  #: turn between this pose and the nearest reference's


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSpan:
    """Frames start ≤ f < stop that are worth a look."""

    start: int
    stop: int
    peak: int  #: the frame to look at first
    expected_cv: float  #: expected error at the peak, code values of 255; 0 where the plate stays
    score: float  #: excess error summed over the span; spans are ranked by it
    reasons: tuple[str, ...]  #: most telling first

    def sentence(self) -> str:
        """One line for a report, a marker or a tool tip."""
        if not self.expected_cv:
            return f"the plate stays: {', '.join(self.reasons)}"
        return f"expect ±{self.expected_cv:.0f} code values: {', '.join(self.reasons)}"


#: Stretches stand out from their take's median. A take whose median frame is expected to be this far off (code values
#: of 255) is uncertain as a whole, whatever stands out; on 24 clips of validation speakers the mean is 6.
UNEASY_CV = 9.0


def typical_cv(levels: Iterable[float]) -> float:
    """Expected error of a typical frame, code values of 255: the median over re-dubbed frames; 0 without any."""
    known = np.fromiter(levels, float)
    return float(np.median(known)) if known.size else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSettings:
    """When a stretch is worth a look."""

    deviations: float = 2.0  #: robust deviations above the take's median
    floor_cv: float = 4.0  #: below this expected error nothing is worth a look
    always_cv: float = 14.0  #: above this everything is, however bad the rest
    bridge_s: float = 0.2  #: spans closer than this become one
    least_s: float = 0.06  #: shorter ones are dropped
    least_excess: float = 0.15  #: and those with less excess error than this, code values times seconds
    smooth_s: float = 0.04  #: deviation of the smoothing over time


def find_spans(
    stats: Sequence[FrameStats], rate: float, *, limit: int = 20, settings: SpanSettings | None = None
) -> list[ReviewSpan]:
    """Find the stretches worth a review, most excess error first.

    Where something is in front of the mouth the plate stays, which a person should know before any uncertainty: such
    stretches come first.

    Args:
        stats: one entry a frame, in plate order.
        rate: frames per second.
        limit: most spans to return.
        settings: see `SpanSettings`.
    """
    settings = settings or SpanSettings()
    found = np.array([s.found for s in stats], bool)
    held = [_held_span(stats, start, stop, settings) for start, stop in _runs(_hidden(stats), stats)]
    held.sort(key=lambda s: (-s.score, s.start))
    if not found.any():
        return held[:limit]
    raw = np.array([s.sigma_mean_cv for s in stats], float)
    level = _smoothed(raw, stats, settings.smooth_s * rate)
    median = float(np.median(level[found]))
    spread = 1.4826 * float(np.median(np.abs(level[found] - median)))
    threshold = min(max(median + settings.deviations * spread, settings.floor_cv), settings.always_cv)
    base = min(median, threshold)
    # a span begins and ends half-way down to the usual level, so that one hump is one span
    slopes = _runs(found & (level > (base + threshold) / 2), stats)
    humps = [(a, b) for a, b in slopes if level[a:b].max() > threshold]
    runs = _bridged(humps, found, stats, max(round(settings.bridge_s * rate), 1))
    least = max(round(settings.least_s * rate), 1)
    causes = _Causes(stats, rate)
    spans = []
    for start, stop in runs:
        excess = float((level[start:stop] - base).sum())
        if stop - start < least or excess < settings.least_excess * rate:
            continue
        peak = start + int(np.argmax(raw[start:stop]))
        spans.append(
            ReviewSpan(
                start=stats[start].frame,
                stop=stats[stop - 1].frame + 1,
                peak=stats[peak].frame,
                expected_cv=float(raw[peak]),
                score=excess,
                reasons=causes.of(start, stop),
            )
        )
    return [*held, *sorted(spans, key=lambda s: (-s.score, s.start))][:limit]


IN_FRONT = "something is in front of the mouth"
_OCCLUDED = 0.3  #: share of the mouth
_OUTLIER = 5.0  #: deviations; 1 frame in 200 of the training speakers goes further


class _Causes:
    """Why a stretch may be uncertain: measurements against fixed limits and against the rest of the take."""

    def __init__(self, stats: Sequence[FrameStats], rate: float) -> None:
        self.yaw, self.pitch = _series(stats, "yaw_deg"), _series(stats, "pitch_deg")
        self.speed = np.hypot(_speed(self.yaw, stats, rate), _speed(self.pitch, stats, rate))
        self.mouth, self.luma = _series(stats, "mouth_px"), _series(stats, "luma")
        sharp = _series(stats, "sharpness")
        typical = float(np.nanmedian(sharp)) if np.isfinite(sharp).any() else np.nan
        self.sharp = sharp / typical if typical > 0 else np.full(len(stats), np.nan)
        self.occluded, self.outlier = _series(stats, "occluded"), _series(stats, "mouth_outlier")
        self.reference = _series(stats, "reference_deg")

    def of(self, start: int, stop: int) -> tuple[str, ...]:
        """Reasons for one stretch, the one furthest beyond its limit first."""

        def high(values: NDArray[np.float64]) -> float:
            return _percentile(values[start:stop], 90)

        def low(values: NDArray[np.float64]) -> float:
            return _percentile(values[start:stop], 10)

        speed, yaw, pitch = high(self.speed), high(np.abs(self.yaw)), high(np.abs(self.pitch))
        mouth, luma, sharp = low(self.mouth), low(self.luma), low(self.sharp)
        occluded, outlier, reference = high(self.occluded), high(self.outlier), high(self.reference)
        weighed = [  # how far beyond its limit (1 = at the limit), what to say
            (occluded / _OCCLUDED, IN_FRONT),
            (speed / 60, f"fast head turn ({speed:.0f}° a second)"),
            (yaw / 35, f"head turned far to the side ({yaw:.0f}°)"),
            (pitch / 30, f"head tilted far up or down ({pitch:.0f}°)"),
            (outlier / _OUTLIER, f"lips outside what the model was taught ({outlier:.1f} deviations)"),
            (64 / max(mouth, 1e-6), f"small face (mouth {mouth:.0f} px wide)"),
            (0.12 / max(luma, 1e-6), f"low light (mean {luma:.0%} of white)"),
            (0.5 / max(sharp, 1e-6), "motion blur or out of focus"),
            (reference / 20, f"no reference with this pose (nearest {reference:.0f}° away)"),
        ]
        told = sorted((w for w in weighed if w[0] >= 1), key=lambda w: -w[0])
        return tuple(text for _, text in told) or ("no single cause found",)


def _hidden(stats: Sequence[FrameStats]) -> NDArray[np.bool_]:
    return np.array([s.hidden for s in stats], bool)


def _held_span(stats: Sequence[FrameStats], start: int, stop: int, settings: SpanSettings) -> ReviewSpan:
    """A stretch that nothing was drawn on, as bad as what is always worth a look."""
    first, last = stats[start].frame, stats[stop - 1].frame
    return ReviewSpan(
        start=first,
        stop=last + 1,
        peak=(first + last) // 2,
        expected_cv=0.0,
        score=settings.always_cv * (stop - start),
        reasons=(IN_FRONT,),
    )


def _smoothed(values: NDArray[np.float64], stats: Sequence[FrameStats], deviation: float) -> NDArray[np.float64]:
    """Smooth over time inside each run of frames that belong together."""
    result = values.copy()
    if deviation > 0.2:
        for start, stop in _runs(np.array([s.found for s in stats], bool), stats):
            result[start:stop] = gaussian_filter1d(values[start:stop], deviation, mode="nearest")
    return result


def _runs(marked: NDArray[np.bool_], stats: Sequence[FrameStats]) -> list[tuple[int, int]]:
    """Half-open runs of marked frames, cut at shot boundaries."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(marked).tolist():
        if runs and runs[-1][1] == index and stats[index - 1].shot == stats[index].shot:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _bridged(
    runs: Iterable[tuple[int, int]], found: NDArray[np.bool_], stats: Sequence[FrameStats], gap: int
) -> list[tuple[int, int]]:
    """Join runs that only a few good frames part; never across a cut or frames without a face."""
    joined: list[tuple[int, int]] = []
    for start, stop in runs:
        if joined:
            before = joined[-1][1]
            if start - before <= gap and found[before:start].all() and stats[before - 1].shot == stats[start].shot:
                joined[-1] = (joined[-1][0], stop)
                continue
        joined.append((start, stop))
    return joined


def _series(stats: Sequence[FrameStats], name: str) -> NDArray[np.float64]:
    values: list[Any] = [getattr(s, name) if s.found else None for s in stats]
    return np.array([np.nan if v is None else float(v) for v in values], np.float64)


def _speed(degrees: NDArray[np.float64], stats: Sequence[FrameStats], rate: float) -> NDArray[np.float64]:
    """Degrees a second; 0 where a neighbour is missing or belongs to another shot."""
    step = np.diff(degrees, prepend=degrees[:1])
    shots = np.array([s.shot for s in stats])
    step[1:][shots[1:] != shots[:-1]] = 0
    return np.asarray(np.nan_to_num(np.abs(step)) * rate, np.float64)


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, percent)) if known.size else float("nan")
