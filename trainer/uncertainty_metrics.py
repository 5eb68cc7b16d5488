"""Is σ worth looking at? Rank correlation, sparsification, calibrated intervals, baselines.

Everything here takes flat arrays of pixels: σ ≥ 0 (or any other measure of doubt) and |error| ≥ 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from julnet_plugin.matte.calibration import LEVELS

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]

MAX_PIXELS = 1_000_000  #: ranks are taken over at most so many pixels, evenly spaced


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Indices of at most `most` out of `count` items, evenly spaced; the same ones every time."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return (np.arange(most, dtype=np.float64) * (count / most)).astype(np.int64)


def spearman(a: Floats, b: Floats, max_samples: int = MAX_PIXELS) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where either side is constant."""
    if a.shape != b.shape or a.ndim != 1:
        msg = f"two flat arrays of one length are needed, not {a.shape} and {b.shape}"
        raise ValueError(msg)
    index = evenly_spaced(len(a), max_samples)
    ra, rb = (rankdata(x[index]) - (len(index) + 1) / 2 for x in (a, b))
    scale = float(np.sqrt((ra @ ra) * (rb @ rb)))
    return float(ra @ rb) / scale if scale > 0 else float("nan")


def noise_ceiling(sigma: Floats, seed: int = 0, max_samples: int = MAX_PIXELS) -> float:
    """The Spearman that a *perfect* σ would reach: σ against |noise| drawn from its own Laplace distribution.

    One pixel's error is one draw, so no σ correlates with it perfectly. The ceiling depends only on how much
    σ varies.
    """
    index = evenly_spaced(len(sigma), max_samples)
    drawn = np.random.default_rng(seed).exponential(1.0, len(index))
    return spearman(sigma[index], sigma[index] * drawn)


@dataclass(frozen=True, slots=True)
class Sparsification:
    """How the mean error falls as the most doubtful pixels are taken away.

    Shape:
        removed: (K,) fraction taken away, 0 to just under 1.
        remaining: (K,) mean error of the rest over the mean error of all; 1 at the start.
        oracle: (K,) the same if pixels were taken away by their true error.
    """

    removed: Float64
    remaining: Float64
    oracle: Float64

    @property
    def ause(self) -> float:
        """Area under the sparsification error: to the oracle's curve; 0 is perfect."""
        gap = self.remaining - self.oracle
        return float(np.sum((gap[1:] + gap[:-1]) / 2 * np.diff(self.removed)))


def sparsification(doubt: Floats, error: Floats, steps: int = 100) -> Sparsification:
    """Sparsification curve of `doubt`.

    Pixels that tie are taken away together, so a constant gives a flat line at 1.

    Source:
        Ilg et al., Uncertainty estimates and multi-hypotheses networks for optical flow (ECCV 2018), Section
        5.
    """
    removed = np.arange(steps) / steps
    total = float(np.mean(error, dtype=np.float64)) or 1.0
    remaining, oracle = (_mean_of_rest(x, error, removed) / total for x in (doubt, error))
    return Sparsification(removed, remaining, oracle)


def ause(doubt: Floats, error: Floats) -> float:
    """Area under the sparsification error of `doubt`."""
    return sparsification(doubt, error).ause


def error_share(doubt: Floats, error: Floats, fraction: float = 0.1) -> float:
    """Share of the whole |error| that lies in the `fraction` most doubtful pixels; `fraction` if blind."""
    rest = _mean_of_rest(doubt, error, np.array([0.0, fraction]))
    return float(1.0 - (1.0 - fraction) * rest[1] / rest[0]) if rest[0] > 0 else float("nan")


def _mean_of_rest(doubt: Floats, error: Floats, removed: Float64) -> Float64:
    """Mean error of what remains after taking away each fraction of the most doubtful; (K,)."""
    order = np.argsort(doubt, kind="stable")  # the surest first
    level, sorted_error = doubt[order], error[order].astype(np.float64)
    starts = np.flatnonzero(np.concatenate([[True], level[1:] != level[:-1]]))
    counts = np.diff(np.append(starts, len(level)))
    tied = np.repeat(np.add.reduceat(sorted_error, starts) / counts, counts)
    total = np.concatenate([[0.0], np.cumsum(tied)])
    kept = (1.0 - removed) * len(level)
    whole = np.interp(kept, np.arange(len(level) + 1), total)
    return np.asarray(whole / kept)


def laplace_coverage(error: Floats, sigma: Floats, level: float) -> float:
    """Share of pixels whose |error| lies inside the central Laplace interval of nominal `level`.

    The interval is ±σ · ln(1 / (1 − level)).
    """
    return float(np.mean(error <= sigma * np.log(1.0 / (1.0 - level))))


@dataclass(frozen=True, slots=True)
class UncertaintyScores:
    """What a report says of σ on one set of pixels."""

    spearman: float
    spearman_ceiling: float  #: what a perfect σ of the same spread would reach
    ause: float
    ause_constant: float  #: of a σ that says nothing
    error_share_top10: float  #: 0.1 when blind
    coverage: dict[str, float]  #: Laplace intervals as the network gives them, by nominal level
    mean_sigma: float
    mean_error: float


def uncertainty_scores(sigma: Floats, error: Floats, seed: int = 0) -> UncertaintyScores:
    """All scores of σ against |error| over flat pixels."""
    return UncertaintyScores(
        spearman=spearman(sigma, error),
        spearman_ceiling=noise_ceiling(sigma, seed),
        ause=ause(sigma, error),
        ause_constant=ause(np.ones_like(sigma), error),
        error_share_top10=error_share(sigma, error, 0.1),
        coverage={f"{level:g}": laplace_coverage(error, sigma, level) for level in LEVELS},
        mean_sigma=float(np.mean(sigma, dtype=np.float64)),
        mean_error=float(np.mean(error, dtype=np.float64)),
    )


def gradient_doubt(pictures: Floats) -> Floats:
    """Baseline without learning: size of the brightness gradient, since errors sit on edges.

    Shape:
        (T, h, w, 3) RGB to (T, h, w).
    """
    luma = pictures.mean(axis=3)
    down, right = np.gradient(luma, axis=(1, 2))
    return np.asarray(np.hypot(down, right))


def temporal_doubt(pictures: Floats) -> Floats:
    """Baseline without learning: a pixel's change over time, since errors sit on motion.

    Shape:
        (T, h, w, 3) RGB to (T, h, w).
    """
    if len(pictures) < 2:
        return np.zeros(pictures.shape[:3], pictures.dtype)
    step = np.abs(np.diff(pictures, axis=0)).mean(axis=3)  # (T-1, h, w)
    before, after = np.concatenate([step[:1], step]), np.concatenate([step, step[-1:]])
    return np.asarray((before + after) / 2)
