"""Grain match: the plate's noise on the generated pixels, so that the mouth does not stand still in a noisy picture.

Noise is what changes from one frame to the next while the picture stays: skin texture and stubble do not count, nor
does the frozen noise of a compressed clip, or the mouth would boil in a calm face. So it is measured between
neighbouring frames of a shot, by `GrainMeter`, and added with the same strength and coarseness, anew for every frame.

Source:
    Immerkaer 1996, "Fast noise variance estimation" (a Laplacian difference that ignores edges and ramps). Departures:
    applied to the difference of two frames, and a lower quantile instead of the mean of its response, so that what
    moves is not taken for noise.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0  #: unit variance in, unit variance out
_QUANTILE, _GAUSS = 0.25, 0.31864  #: a quarter of |N(0, 1)| lies below 0.31864
_LIMIT = 12.0 / 255.0  #: stronger noise than this is something else
_SAMPLES = 6000  #: pixels that are enough to know a deviation to one per cent or two
_PAIRS = 256  #: most pairs that a meter keeps
_ROOM = 256  #: noise tiles grow in steps of this, and leave at least this much room to cut from
#: luma (BT.709) and two colour differences: video noise lives mostly in luma
_OPPONENT = np.array([[0.2126, 0.7152, 0.0722], [1.0, -1.0, 0.0], [0.0, -1.0, 1.0]], np.float32)
_FROM_OPPONENT = np.linalg.inv(_OPPONENT).astype(np.float32)
#: what `noise_levels` measures (rows: full, half resolution) of unit fine noise, and of unit noise made at half
#: resolution and enlarged bilinearly (columns): measured once on large samples, 0.0625 and 0.3486 for the coarse one
_UNMIX = np.linalg.inv(np.square(np.array([[1.0, 0.0625], [0.5, 0.3486]])))


class GrainMeter:
    """Measures a shot's noise from pairs of neighbouring frames; a dozen pairs are enough, more make it surer."""

    def __init__(self) -> None:
        self._levels: list[Float32] = []

    def add(self, first: Float32, second: Float32) -> None:
        """Measure one pair.

        Shape:
            first, second: (h, w, 3) display RGB of the same rectangle of two neighbouring frames, best around the face.
        """
        if first.shape != second.shape or min(first.shape[:2]) < 16 or len(self._levels) >= _PAIRS:
            return
        self._levels.append(noise_levels(cv2.subtract(second, first) * np.float32(np.sqrt(0.5))))

    def levels(self) -> Float32 | None:
        """(2, 3) levels for `Compositor.composite`, the median over all pairs; None before any pair was measured."""
        return np.asarray(np.median(self._levels, axis=0), np.float32) if self._levels else None


def noise_levels(picture: Float32) -> Float32:
    """Noise of a picture (h, w, 3) in opponent colour, at full and at half resolution.

    Returns:
        (2, 3) standard deviations: rows full and half resolution; columns luma, R−G, B−G. White noise has half the
        deviation in the second row, coarse grain more.
    """
    opponent = np.asarray(cv2.transform(picture, _OPPONENT), np.float32)
    half = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
    coarse = np.asarray(cv2.resize(opponent, half, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray([_deviation(opponent), _deviation(coarse)], np.float32)


def grain_field(levels: Float32, size: tuple[int, ...], seed: int, frame: int) -> Float32:
    """(size[0], size[1], 3) RGB noise that measures `levels`; the same for the same seed, frame and size."""
    height, width = size
    fine, coarse = _mixed(levels)
    rng = np.random.default_rng([seed & 0xFFFFFFFF, frame])
    noise = cv2.transform(_patch(seed, rng, height, width), _FROM_OPPONENT * fine)
    if not coarse.any():
        return np.asarray(noise, np.float32)
    half = _patch(seed, rng, (height + 1) // 2, (width + 1) // 2)
    enlarged = cv2.resize(cv2.transform(half, _FROM_OPPONENT * coarse), None, fx=2, fy=2)
    return np.asarray(noise + enlarged[:height, :width], np.float32)


def _mixed(levels: Float32) -> Float32:
    """(2, 3) deviations of a fine and a coarse noise that together measure `levels`."""
    variances = np.maximum(_UNMIX @ np.square(levels.astype(np.float64)), 0)
    return np.asarray(np.minimum(np.sqrt(variances), _LIMIT), np.float32)


def _deviation(opponent: Float32) -> Float32:
    """Robust deviation of the Laplacian response, from a grid of samples where the picture is large."""
    step = max(int(np.sqrt(opponent.shape[0] * opponent.shape[1] / _SAMPLES)), 1)
    response = cv2.filter2D(opponent, -1, _KERNEL, borderType=cv2.BORDER_REFLECT)
    samples = np.abs(response[::step, ::step]).reshape(-1, 3)
    k = int(_QUANTILE * len(samples))
    return np.asarray(np.partition(samples, k, axis=0)[k] / np.float32(_GAUSS), np.float32)


@lru_cache(maxsize=4)
def _tile(seed: int, side: int) -> Float32:
    """White Gaussian noise to cut patches from: drawing it anew for every frame would cost more than the warp."""
    return np.random.default_rng(seed & 0xFFFFFFFF).standard_normal((side, side, 3), np.float32)


def _patch(seed: int, rng: np.random.Generator, height: int, width: int) -> Float32:
    """A piece of the tile at a random place."""
    side = (max(height, width) + 2 * _ROOM) // _ROOM * _ROOM
    y, x = rng.integers(0, [side - height, side - width])
    return _tile(seed, side)[y : y + height, x : x + width]
