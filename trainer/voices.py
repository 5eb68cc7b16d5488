"""How much of a sound is two voices at once: one person's lips cannot be learnt from it.

A voiced sound repeats itself: taken from itself one period later, nothing is left of it. Of two voices of different
pitch the period of either leaves the other one, and both periods together leave nothing. So a moment counts as
overlapped where no single period explains it and a pair does. Noise, breath and consonants are explained by neither,
and music beside a voice counts as a second voice, as it should.

Measured on talking heads of 60 people, each alone and mixed with another: see docs/training.md.

Source:
    de Cheveigné, Separation of concurrent harmonic sounds (JASA 1993): cancellation in the time domain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt

SAMPLE_RATE_HZ = 16_000

_RATE_HZ = 4_000  #: the sound is judged at; pitch lies far below
_BAND_HZ = (70.0, 1_000.0)
_LAGS = np.arange(10, 54)  #: periods at that rate: 400 down to 75 Hz
_WINDOW, _HOP = 180, 80  #: 45 ms every 20 ms
_LOUD = 0.05  #: of the loud moments' energy; softer ones are not judged
_ONE, _TWO = 0.3, 0.2  #: share that the best period leaves at least, and the best pair at most
_TRIED = 4  #: periods that a second one is tried beside
_HARMONIC = 0.08  #: periods whose ratio is this near a whole number are one voice's
_LEAST = 50  #: loud moments (a second), or nothing is said
_AT_ONCE = 256  #: moments, so that memory does not grow with the sound

Float64 = NDArray[np.float64]


def overlapped_share(samples: NDArray[np.floating]) -> float:  # type: ignore[type-arg]
    """Share of the loud moments in which two voices sound at once; NaN where too little is loud.

    Shape:
        samples: (n,) mono at 16 kHz.
    """
    reach = int(_LAGS[-1])
    length = _WINDOW + 2 * reach
    if len(samples) < SAMPLE_RATE_HZ // 2:
        return float("nan")
    sound = resample_poly(np.asarray(samples, np.float64), 1, SAMPLE_RATE_HZ // _RATE_HZ)
    sound = sosfiltfilt(butter(4, _BAND_HZ, btype="band", fs=_RATE_HZ, output="sos"), sound)
    starts = np.arange(0, len(sound) - length, _HOP)
    energy = np.array([np.square(sound[s : s + length]).mean() for s in starts])
    starts = starts[energy > _LOUD * np.percentile(energy, 95)]
    if len(starts) < _LEAST:
        return float("nan")
    overlapped = 0
    for first in range(0, len(starts), _AT_ONCE):
        moments = sound[starts[first : first + _AT_ONCE, None] + np.arange(length)]  # (F, length)
        overlapped += int(_overlapped(moments).sum())
    return overlapped / len(starts)


def _overlapped(moments: Float64) -> NDArray[np.bool_]:
    """Which moments (F, length) two periods explain and one does not."""
    one = _left(moments)  # (F, L)
    beside = np.pad(one, ((0, 0), (1, 1)), constant_values=np.inf)
    valleys = np.where((one <= beside[:, :-2]) & (one <= beside[:, 2:]), one, np.inf)
    two = np.full(len(moments), np.inf)
    for column in np.argsort(valleys, axis=1)[:, :_TRIED].T:
        rest = _without(moments, _LAGS[column])
        ratio = _LAGS / _LAGS[column][:, None]
        ratio = np.maximum(ratio, 1 / ratio)
        other = np.abs(ratio / np.round(ratio) - 1) >= _HARMONIC
        tried = np.isfinite(np.take_along_axis(valleys, column[:, None], axis=1))
        two = np.minimum(two, np.where(other & tried, _left(rest), np.inf).min(axis=1))
    return np.asarray((one.min(axis=1) > _ONE) & (two < _TWO))


def _left(x: Float64) -> Float64:
    """(F, n) to (F, L): what each period leaves of the last window; 0 = it explains all, 1 = nothing."""
    window = x[:, -_WINDOW:]
    power = np.square(window).sum(axis=1)
    left = np.empty((len(x), len(_LAGS)))
    for k, lag in enumerate(_LAGS):
        earlier = x[:, -_WINDOW - lag : -lag]
        left[:, k] = np.square(window - earlier).sum(axis=1) / (power + np.square(earlier).sum(axis=1) + 1e-12)
    return left


def _without(x: Float64, lags: NDArray[np.integer]) -> Float64:  # type: ignore[type-arg]
    """(F, n) to (F, n − longest lag): each row without the voice of its own period (F,)."""
    kept = np.arange(_LAGS[-1], x.shape[1])
    return x[:, kept] - np.take_along_axis(x, kept[None] - lags[:, None], axis=1)
