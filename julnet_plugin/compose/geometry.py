"""Crop arrays to plate rectangles: where they land, and how they are resampled on the way.

Convention: x right, y down, origin at the centre of the top-left pixel; affines (2, 3) map array to plate pixels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.types import Rect

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: coverage below this is 0: half a step of an 8-bit picture could not show it, and the rectangle stays tight
COVERAGE_FLOOR = 1.0 / 1024.0


def magnification(matrix: Float64) -> float:
    """Plate pixels per array pixel along one side: above 1 the crop is enlarged."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def shifted(matrix: Float64, rect: Rect) -> Float64:
    """The same affine with the rectangle's first pixel as the origin of the target."""
    local = np.array(matrix, np.float64)
    local[:, 2] -= (rect.x0, rect.y0)
    return local


def covered_rect(coverage: NDArray[np.floating[Any]], matrix: Float64, plate_size: tuple[int, ...]) -> Rect | None:
    """The part of the plate that the coverage above 0 can reach, clipped to the plate.

    Args:
        coverage: (h, w) in array pixels.
        matrix: array pixels to plate pixels.
        plate_size: (H, W).

    Returns:
        None where nothing of it lies on the plate.
    """
    rows = np.flatnonzero((coverage >= COVERAGE_FLOOR).any(axis=1))
    columns = np.flatnonzero((coverage >= COVERAGE_FLOOR).any(axis=0))
    if rows.size == 0:
        return None
    top, bottom = rows[0] - 1.0, rows[-1] + 1.0
    left, right = columns[0] - 1.0, columns[-1] + 1.0
    corners = np.array([[left, top, 1], [right, top, 1], [left, bottom, 1], [right, bottom, 1]])
    points = corners @ np.asarray(matrix, np.float64).T
    height, width = plate_size
    x0, y0 = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0)) + 1, 0, (width, height)).astype(int)
    return Rect(x0=int(x0), y0=int(y0), x1=int(x1), y1=int(y1)) if x1 > x0 and y1 > y0 else None


def tightened(rect: Rect, covered: NDArray[np.bool_]) -> Rect | None:
    """The smallest rectangle inside `rect` that holds every covered pixel; `covered` is (rect.height, rect.width)."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if rows.size == 0:
        return None
    return Rect(
        x0=rect.x0 + int(columns[0]),
        y0=rect.y0 + int(rows[0]),
        x1=rect.x0 + int(columns[-1]) + 1,
        y1=rect.y0 + int(rows[-1]) + 1,
    )


def warp_picture(picture: Float32, matrix: Float64, rect: Rect) -> Float32:
    """Resample an RGB crop onto the plate's pixels inside `rect`, sharp and without aliasing.

    Enlarging is bicubic; reducing averages the crop to the plate's resolution first. Pixels outside the crop repeat
    its edge. Overshoot of the bicubic filter is kept: the caller clips once, at the end.

    Shape:
        picture: (h, w, 3).
        returns: (rect.height, rect.width, 3).
    """
    reduced, matrix = _reduced(picture, matrix)
    return _warp(reduced, matrix, rect, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)


def warp_maps(maps: Float32, matrix: Float64, rect: Rect) -> Float32:
    """Resample scalar maps (h, w, K) onto the plate's pixels: bilinear, 0 outside the crop.

    Bilinear never leaves the range of its input, so a coverage stays in [0, 1] and a σ stays positive.
    """
    planes = []
    for k in range(0, maps.shape[-1], 4):  # four at a time: OpenCV's resize and border value stop there
        reduced, affine = _reduced(maps[..., k : k + 4], matrix)
        warped = _warp(reduced, affine, rect, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        planes.append(warped.reshape(rect.height, rect.width, -1))
    return np.concatenate(planes, axis=-1)


def crop_coordinates(matrix: Float64, rect: Rect, size: tuple[int, ...]) -> Float32:
    """ST map: for every plate pixel in `rect`, where in the crop it comes from; 0 outside the crop.

    Args:
        matrix: array pixels to plate pixels.
        rect: the plate's pixels asked for.
        size: (h, w) of the array.

    Returns:
        (rect.height, rect.width, 2): s from 0 at the crop's left edge to 1 at its right, t from 0 at its bottom to 1 at
        its top, as compositing programs count.
    """
    height, width = size
    inverse = cv2.invertAffineTransform(np.asarray(matrix, np.float64))
    x = np.arange(rect.x0, rect.x1, dtype=np.float64)
    y = np.arange(rect.y0, rect.y1, dtype=np.float64)[:, None]
    ds, dt = inverse[0] / width, -inverse[1] / height
    s = (ds[0] * x + (ds[2] + 0.5 / width)).astype(np.float32) + (ds[1] * y).astype(np.float32)
    t = (dt[0] * x + (dt[2] + 1 - 0.5 / height)).astype(np.float32) + (dt[1] * y).astype(np.float32)
    inside = (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
    return np.asarray(cv2.merge([s * inside, t * inside]), np.float32)


def _reduced(array: NDArray[Any], matrix: Float64) -> tuple[NDArray[Any], Float64]:
    """Average an array that the plate shows smaller down to the plate's resolution; the affine follows."""
    scale = magnification(matrix)
    if scale > 0.95:
        return array, matrix
    height, width = array.shape[:2]
    small_w, small_h = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(array, (small_w, small_h), interpolation=cv2.INTER_AREA)
    kx, ky = width / small_w, height / small_h
    # pixel centres stay pixel centres: u = (u' + 0.5) * k - 0.5
    reduced = np.array(matrix, np.float64)
    reduced[:, 2] += matrix[:, :2] @ np.array([(kx - 1) / 2, (ky - 1) / 2])
    reduced[:, :2] *= (kx, ky)
    return small, reduced


def _warp(array: NDArray[Any], matrix: Float64, rect: Rect, interpolation: int, border: int) -> Float32:
    warped = cv2.warpAffine(
        np.ascontiguousarray(array, np.float32),
        shifted(matrix, rect),
        (rect.width, rect.height),
        flags=interpolation,
        borderMode=border,
        borderValue=(0.0, 0.0, 0.0, 0.0),
    )
    return np.asarray(warped, np.float32)
