"""Grain match: the plate's noise on the generated pixels, so that the mouth does not look waxed.

The plate's own pixels under the patch tell how strong the noise is and how coarse; the generated pixels tell how much
of it they already carry. The rest is added: independent from frame to frame, the same for the same seed and frame.

Source:
    Immerkaer 1996, "Fast noise variance estimation" (a Laplacian difference that ignores edges and ramps). Departure: a
    lower quantile instead of the mean of its response, so that pores and stubble are not taken for noise.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0  #: unit variance in, unit variance out
_QUANTILE, _GAUSS = 0.25, 0.31864  #: a quarter of |N(0, 1)| lies below 0.31864
_LIMIT = 12.0 / 255.0  #: stronger noise than this is texture
_SAMPLES = 6000  #: pixels that are enough to know a deviation to one per cent or two
_ROOM = 256  #: tiles grow in steps of this, and leave at least this much room to cut from
#: luma (BT.709) and two colour differences: video noise lives mostly in luma
_OPPONENT = np.array([[0.2126, 0.7152, 0.0722], [1.0, -1.0, 0.0], [0.0, -1.0, 1.0]], np.float32)
_FROM_OPPONENT = np.linalg.inv(_OPPONENT).astype(np.float32)

#: what `grain_levels` measures (rows: full, half resolution) of unit fine noise, and of unit noise made at half
#: resolution and enlarged bilinearly (columns): measured once on large samples, 0.0625 and 0.3486 for the coarse one
_SEEN = np.square(np.array([[1.0, 0.0625], [0.5, 0.3486]]))
_UNMIX = np.linalg.inv(_SEEN)


def grain_levels(picture: Float32, region: NDArray[np.bool_]) -> Float32:
    """Noise of a picture inside a region, in opponent colour, at full and at half resolution.

    Returns:
        (2, 3) standard deviations: rows full and half resolution; columns luma, R−G, B−G. White noise has half the
        deviation in the second row, coarse grain more. Zero where the region is too small to tell.
    """
    opponent = np.asarray(cv2.transform(picture, _OPPONENT), np.float32)
    half = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
    coarse = np.asarray(cv2.resize(opponent, half, interpolation=cv2.INTER_AREA), np.float32)
    inside = cv2.resize(region.astype(np.uint8), half, interpolation=cv2.INTER_NEAREST).astype(bool)
    return np.asarray([_deviation(opponent, region), _deviation(coarse, inside)], np.float32)


def added_grain(plate: Float32, generated: Float32, amount: float) -> Float32:
    """(2, 3) deviations of a fine and a coarse noise to add so that `generated` levels reach `plate` levels."""
    missing = np.maximum(np.square(plate) - np.square(generated), 0) * amount * amount
    variances = np.maximum(_UNMIX @ missing, 0)
    return np.asarray(np.minimum(np.sqrt(variances), _LIMIT), np.float32)


def grain_field(levels: Float32, size: tuple[int, ...], seed: int, frame: int) -> Float32:
    """(size[0], size[1], 3) RGB noise of the given `added_grain` levels; the same for the same seed, frame and size."""
    height, width = size
    rng = np.random.default_rng([seed & 0xFFFFFFFF, frame])
    fine = cv2.transform(_patch(seed, rng, height, width), _FROM_OPPONENT * levels[0])
    if not levels[1].any():
        return np.asarray(fine, np.float32)
    half = _patch(seed, rng, (height + 1) // 2, (width + 1) // 2)
    coarse = cv2.resize(cv2.transform(half, _FROM_OPPONENT * levels[1]), None, fx=2, fy=2)
    return np.asarray(fine + coarse[:height, :width], np.float32)


def _deviation(opponent: Float32, region: NDArray[np.bool_]) -> Float32:
    """Robust deviation of the Laplacian response; from a grid of samples where the region is large."""
    step = max(int(np.sqrt(np.count_nonzero(region) / _SAMPLES)), 1)
    response = cv2.filter2D(opponent, -1, _KERNEL, borderType=cv2.BORDER_REFLECT)
    samples = np.abs(response[::step, ::step][region[::step, ::step]])
    if len(samples) < 64:
        return np.zeros(3, np.float32)
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
