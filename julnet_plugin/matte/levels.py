"""Levels from a shot's own σ, in code values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from julnet_plugin.types import FloatArray

_BINS_PER_CV = 8
_BINS = 256 * _BINS_PER_CV
LOW_PERCENTILE, HIGH_PERCENTILE = 60.0, 99.0
_LEAST_SPAN_CV = 4.0  #: a shot that is good throughout must not be stretched until its noise looks alarming


class SigmaHistogram:
    """Counts expected errors over a shot in bins of 1/8 code value; its memory does not grow with the shot."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, expected: FloatArray, region: FloatArray | None = None) -> None:
        """Count one frame's expected errors (h, w), in display values, where the region is above 0."""
        values = expected.ravel() if region is None else expected[region > 0]
        bins = np.clip(values * (255 * _BINS_PER_CV), 0, _BINS - 1).astype(np.int64)
        self._counts += np.bincount(bins, minlength=_BINS)

    def percentile(self, percent: float) -> float:
        """The expected error, in code values, that `percent` of the counted pixels stay below; 0 without any."""
        total = self._counts.sum()
        if total == 0:
            return 0.0
        index = int(np.searchsorted(np.cumsum(self._counts), total * percent / 100))
        return (min(index, _BINS - 1) + 0.5) / _BINS_PER_CV

    def levels(self) -> tuple[float, float]:
        """(low_cv, high_cv): most of the shot stays black, its worst hundredth is white."""
        low, high = self.percentile(LOW_PERCENTILE), self.percentile(HIGH_PERCENTILE)
        return low, max(high, low + _LEAST_SPAN_CV)
