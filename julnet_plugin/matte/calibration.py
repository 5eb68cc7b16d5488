"""Calibration: what a σ really costs, measured on validation clips and carried in the weights' header.

A monotone map takes σ to the expected absolute error, so that the order of pixels never changes, only the numbers
beside them: "expect ±6 code values here". Interval factors say how wide an interval must be to hold 50, 80 or 95 % of
the errors.

Source:
    Ayer et al. 1955, pool adjacent violators (isotonic regression). The network's likelihood is Laplace (JULNet eq. 4):
    E|e| = b, and P(|e| <= k b) = 1 - exp(-k); measured factors replace these where errors are not Laplace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import CheckpointError

LEVELS = (0.5, 0.8, 0.95)
_BINS = 256
_KNOTS = 24


def laplace_factors() -> dict[float, float]:
    """Half width of the central interval of each level, in expected errors, for Laplace errors."""
    return {level: -math.log(1 - level) for level in LEVELS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Monotone map from σ to expected absolute error, both in display values, and interval factors."""

    sigma: tuple[float, ...]  #: knots, increasing
    error: tuple[float, ...]  #: expected |error| at each knot, never decreasing
    factors: Mapping[float, float] = field(default_factory=laplace_factors)

    def __post_init__(self) -> None:
        sigma, error = np.array(self.sigma), np.array(self.error)
        if not (len(sigma) == len(error) > 0 and np.isfinite([*sigma, *error, *self.factors.values()]).all()):
            msg = "a calibration needs as many finite errors as sigmas, at least one"
            raise ValueError(msg)
        if (np.diff(sigma) <= 0).any() or (np.diff(error) < 0).any() or sigma[0] < 0 or error[0] < 0:
            msg = "a calibration must increase: larger σ, larger error"
            raise ValueError(msg)

    def apply(self, sigma: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Expected |error| for any array of σ; outside the knots it goes in proportion, so that no two σ tie there."""
        expected = np.interp(sigma, self.sigma, self.error)
        if self.sigma[0] > 0:
            expected *= np.minimum(np.asarray(sigma) / self.sigma[0], 1)
        if self.sigma[-1] > 0:
            expected *= np.maximum(np.asarray(sigma) / self.sigma[-1], 1)
        return np.asarray(expected, np.float32)

    def interval(self, sigma: NDArray[np.floating[Any]], level: float) -> NDArray[np.float32]:
        """Half width that holds the error with probability `level` (one of `LEVELS`)."""
        return np.asarray(self.apply(sigma) * np.float32(self.factors[level]), np.float32)

    @property
    def knots(self) -> tuple[tuple[float, float], ...]:
        """(σ, expected error) pairs, as `CheckpointInfo.calibration` carries them."""
        return tuple(zip(self.sigma, self.error, strict=True))

    @property
    def named_factors(self) -> dict[str, float]:
        """Interval factors by level as text, as `CheckpointInfo.interval_factors` carries them."""
        return {f"{level:g}": value for level, value in self.factors.items()}

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for a report."""
        return {"sigma": list(self.sigma), "error": list(self.error), "factors": self.named_factors}


def calibration_of(knots: Sequence[Sequence[float]], factors: Mapping[str, float] | None = None) -> Calibration | None:
    """The calibration that a weights header carries; None where it carries none.

    Args:
        knots: (σ, expected |error|) pairs.
        factors: interval factors by level ("0.8"); those of Laplace errors for levels that it lacks.

    Raises:
        CheckpointError: they cannot be a calibration.
    """
    if not knots:
        return None
    sigma, error = [k[0] for k in knots], [k[1] for k in knots]
    return calibration_from_json({"sigma": sigma, "error": error, "factors": dict(factors or {})})


def calibration_from_json(values: object) -> Calibration:
    """Read what `Calibration.to_json` wrote.

    Raises:
        CheckpointError: the header's calibration is damaged.
    """
    try:
        if not isinstance(values, dict):
            raise TypeError(type(values).__name__)  # noqa: TRY301 - answered below like every other damage
        factors = {float(k): float(v) for k, v in values.get("factors", {}).items()}
        return Calibration(
            sigma=tuple(float(v) for v in values["sigma"]),
            error=tuple(float(v) for v in values["error"]),
            factors={**laplace_factors(), **factors},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        msg = f"the weights' calibration is damaged ({exc!s:.60}); export the weights again"
        raise CheckpointError(msg) from exc


def fit_calibration(sigma: NDArray[np.floating[Any]], error: NDArray[np.floating[Any]]) -> Calibration:
    """Fit the map and the interval factors to validation pixels.

    Args:
        sigma: predicted σ of pixels the network was not trained on, display values.
        error: their true absolute error, same shape.

    Raises:
        ValueError: fewer than 100 finite pixels.
    """
    s, e = np.ravel(sigma).astype(np.float64), np.ravel(error).astype(np.float64)
    known = np.isfinite(s) & np.isfinite(e) & (s >= 0)
    s, e = s[known], e[known]
    if len(s) < 100:
        msg = f"calibration needs at least 100 pixels, found {len(s)}"
        raise ValueError(msg)
    means, expected, counts = _binned(s, e)
    fitted = isotonic(expected, counts)
    kept = np.unique(np.linspace(0, len(means) - 1, min(_KNOTS, len(means))).round().astype(int))
    map_ = Calibration(sigma=tuple(means[kept]), error=tuple(fitted[kept]))
    ratio = e / np.maximum(map_.apply(s), 1e-6)
    factors = {level: float(np.quantile(ratio, level)) for level in LEVELS}
    return Calibration(sigma=map_.sigma, error=map_.error, factors=factors)


def interval_coverage(
    calibration: Calibration, sigma: NDArray[np.floating[Any]], error: NDArray[np.floating[Any]]
) -> dict[float, float]:
    """Share of true errors inside each level's interval; equals the level when the calibration holds."""
    return {level: float(np.mean(error <= calibration.interval(sigma, level))) for level in LEVELS}


def isotonic(values: NDArray[np.floating[Any]], weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The non-decreasing sequence nearest to `values` in weighted squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        mean, total, length = value, weight, 1
        while blocks and blocks[-1][0] >= mean:
            before, other, count = blocks.pop()
            mean = (mean * total + before * other) / (total + other)
            total, length = total + other, length + count
        blocks.append((mean, total, length))
    return np.repeat([b[0] for b in blocks], [b[2] for b in blocks])


def _binned(
    s: NDArray[np.float64], e: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean σ, mean error and count of bins with about equally many pixels, σ strictly increasing."""
    edges = np.unique(np.quantile(s, np.linspace(0, 1, _BINS + 1)))
    index = np.clip(np.searchsorted(edges, s, side="right") - 1, 0, max(len(edges) - 2, 0))
    counts = np.bincount(index, minlength=1).astype(np.float64)
    used = counts > 0
    means = np.bincount(index, s)[used] / counts[used]
    expected = np.bincount(index, e)[used] / counts[used]
    rising = np.concatenate([[True], np.diff(means) > 1e-9])
    return means[rising], expected[rising], counts[used][rising]
