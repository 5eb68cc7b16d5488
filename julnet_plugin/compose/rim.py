"""Rim colour match: the offset that makes the generated mouth meet the plate without a step.

Along the inside of the region's edge the generated picture should equal the plate: speech changes little there. What
difference there is, smoothed, is the model's colour error; it is measured on that band, carried inwards and added.
Outside the edge most models copy their source, which says nothing about the colour inside, so the band is one-sided.

Everything happens on small maps of about 80 columns, whatever the plate's size: the offset is smooth, and its cost
stays at a few milliseconds.

Source:
    Farbman et al. 2009, "Coordinates for instant image cloning" (a smooth membrane carries the rim's differences
    inwards); Gortler et al. 1996, "The lumigraph", pull-push. Departures: a robust linear field first, so that a hand
    or a collar across the rim does not tint the cheek, and smoothing along the rim, so that no texture is copied.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

BAND = 0.05  #: width of the band inside the edge, as a share of the crop's width (16 of 320 canonical pixels)
_COLUMNS = 80  #: working resolution
_SMOOTH = 3.0  #: Gaussian along and across the rim, working pixels
_LIMIT = 0.25  #: no offset beyond this, in display values: more is not a colour error but a wrong picture
_FLOOR = 1.5 / 255.0  #: differences that never count as outliers
_SURE = 10.0 / 255.0  #: σ at which a difference at the rim counts half
_REACH = 0.16  #: how far from the edge the plate can be kept, as a share of the crop's width (51 of 320 pixels)
_CHIN = (0.7, 0.94)  #: downward share of the outline's normal from which it begins to be the chin, and is nothing else
_DOUBT = (15.0 / 255.0, 35.0 / 255.0)  #: σ from which the plate begins to be kept, and from which it is kept fully
_LEAST = 0.02  #: a share below this joins nothing
_TURN = 0.025  #: Gaussian that the outline's direction is read from, as a share of the crop's width
_ROUGH = 8.0 / 255.0  #: deviation inside a cell at which it counts half


def rim_offset(generated: Float32, source: Float32, coverage: Float32, sigma: Float32 | None = None) -> Float32:
    """Offset field to add to the generated crop so that its rim takes the plate's colour.

    Where the model doubts what it drew at the rim, it may have drawn another thing (background beside a cheek that it
    took for narrower): the difference is no colour error there and hardly counts.

    Shape:
        generated: (h, w, 3) display RGB.
        source: (h, w, 3) the plate's crop, display RGB, finite.
        coverage: (h, w); the region is where it is above 0.
        sigma: (h, w) display values; None = no doubt anywhere.
        returns: (h, w, 3), 0 everywhere when the region is empty.
    """
    height, width = coverage.shape
    if width >= 3 * _COLUMNS:  # a large crop's finest detail is averaged away anyway
        half = (width // 2, height // 2)
        generated, source, coverage = _area(generated, half), _area(source, half), _area(coverage, half)
        sigma = None if sigma is None else _area(sigma, half)
    band = _band(coverage)
    if sigma is not None:  # as in least squares: weights go with the inverse of the variance
        band = band / (1 + np.square(sigma / _SURE))
    if not band.any():  # nothing is drawn, or the region has no edge inside the crop
        return np.zeros((height, width, 3), np.float32)
    columns = min(_COLUMNS, width)
    size = (columns, max(round(height * columns / width), 1))
    weight = _area(band, size)
    difference = np.clip(cv2.subtract(source, generated), -1, 1)
    weighted = cv2.multiply(difference, cv2.merge([band] * 3))
    cells = _area(weighted, size) / np.maximum(weight, 1e-6)[..., None]
    squares = _area(cv2.multiply(weighted, difference).sum(axis=-1), size) / np.maximum(weight, 1e-6)
    weight = weight * _calm(cells, squares)
    plane, trust = _robust_plane(cells, weight)
    residual = _diffuse(cells - plane, weight * trust)
    field = np.clip(plane + residual, -_LIMIT, _LIMIT)
    return np.asarray(cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def plate_sides(region: Float32, sigma: Float32) -> Float32:
    """Share of the plate to keep along the region's edge, where the model doubts what it drew there.

    Beside a turned cheek the references show hair or background where this frame shows skin, and the model says so in
    σ. Speech hardly moves the sides of a face, so the plate is right there. The chin's edge does move: it is left
    alone. Doubt that does not reach the edge stays with the matte.

    Shape:
        region: (h, w) in [0, 1], the feathered region.
        sigma: (h, w) display values.
        returns: (h, w) in [0, 1], 0 away from the edge.
    """
    height, width = region.shape
    if width >= 3 * _COLUMNS:  # what is kept is smooth: half the size says as much
        half = (width // 2, height // 2)
        kept = cv2.resize(plate_sides(_area(region, half), _area(sigma, half)), (width, height))
        return np.asarray(np.where(region > 0, kept, 0), np.float32)
    inside = (region > 0).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    soft = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), _TURN * width)
    across, down = -cv2.Sobel(soft, cv2.CV_32F, 1, 0), -cv2.Sobel(soft, cv2.CV_32F, 0, 1)  # outwards
    chin = _smoothstep(down / np.maximum(np.hypot(across, down), 1e-6), *_CHIN)
    doubt = cv2.GaussianBlur(_smoothstep(sigma, *_DOUBT), (0, 0), _TURN / 4 * width)
    kept = doubt * (1 - chin) * _smoothstep(-depth / width, -_REACH, -_REACH / 2) * inside
    _, labels = cv2.connectedComponents((kept > _LEAST).astype(np.uint8))
    at_edge = np.unique(labels[(inside > 0) & (depth < 2)])
    return np.asarray(np.where(np.isin(labels, at_edge[at_edge > 0]), kept, 0), np.float32)


def shown_share(region: Float32, sigma: Float32) -> Float32:
    """Share of the drawn picture that the finished one shows, before anybody's matte; shapes as in `plate_sides`."""
    return np.asarray(region * (1 - plate_sides(region, sigma)), np.float32)


def _smoothstep(x: Float32, low: float, high: float) -> Float32:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _band(coverage: Float32) -> Float32:
    """Weight 1 at the region's edge, falling to 0 at `BAND` inside it."""
    inside = np.pad((coverage > 0).astype(np.uint8), 1, constant_values=1)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    reach = BAND * coverage.shape[1]
    fall = np.clip(1.0 - (distance - 1.0) / reach, 0, 1)
    return np.asarray(np.where(coverage > 0, fall, 0), np.float32)


def _calm(cells: Float32, squares: Float32) -> Float32:
    """Weight of each cell: near 1 on smooth skin, small where an edge (collar, jaw, hair) moved between the pictures.

    An edge out of place makes large differences of both signs side by side; their mean says little about colour.
    """
    inside = np.maximum(squares - np.square(cells).sum(axis=-1), 0)
    return np.asarray(1.0 / (1.0 + inside / _ROUGH**2), np.float32)


def _robust_plane(cells: Float32, weight: Float32) -> tuple[Float32, Float32]:
    """Fit offset = a + b x + c y to the band, each channel, trusting cells that agree with their fellows.

    Returns:
        The plane at every cell (clipped to what the trusted cells show), and each cell's trust in [0, 1].

    Source:
        Beaton & Tukey 1974, iteratively reweighted least squares with biweights; scale from the MAD.
    """
    rows, columns = cells.shape[:2]
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float64)
    basis = np.stack([np.ones_like(x), x, y], axis=-1)
    used = weight > 0.02 * weight.max()
    design, target, base = basis[used], cells[used].astype(np.float64), weight[used].astype(np.float64)
    trust = np.ones_like(base)
    ridge = np.diag([1e-6, 1e-2, 1e-2]) * base.sum()  # a band on one side only must not tilt the plane
    coefficients = np.zeros((3, 3))
    coefficients[0] = np.median(target, axis=0)
    for _ in range(6):
        error = np.linalg.norm(target - design @ coefficients, axis=1)
        scale = max(1.4826 * float(np.median(error)), _FLOOR)
        trust = np.square(np.maximum(1 - np.square(error / (5.0 * scale)), 0))
        w = (base * trust)[:, None]
        coefficients = np.linalg.solve(design.T @ (design * w) + ridge, design.T @ (target * w))
    plane = basis @ coefficients
    low, high = (design @ coefficients).min(axis=0), (design @ coefficients).max(axis=0)
    map_ = np.zeros((rows, columns), np.float32)
    map_[used] = trust
    return np.clip(plane, low, high).astype(np.float32), map_


def _diffuse(values: Float32, weight: Float32) -> Float32:
    """Carry what is known on the band smoothly over the whole map; far from it everything tends to the band's mean."""
    known = cv2.GaussianBlur(weight, (0, 0), _SMOOTH)
    total = cv2.GaussianBlur(values * weight[..., None], (0, 0), _SMOOTH)
    return _push_pull(total, known, float(known.max()))


def _push_pull(total: NDArray[Any], known: NDArray[Any], full: float) -> Float32:
    """Fill unknown cells from coarser and coarser averages; `full` is the weight that counts as fully known."""
    mean = total / np.maximum(known, 1e-8)[..., None]
    if min(known.shape) <= 2:
        return np.broadcast_to(total.sum(axis=(0, 1)) / max(float(known.sum()), 1e-8), total.shape).astype(np.float32)
    coarse = _push_pull(cv2.pyrDown(total), cv2.pyrDown(known), full / 2)
    up = cv2.pyrUp(coarse, dstsize=(known.shape[1], known.shape[0]))
    confidence = np.clip(known / max(full, 1e-8), 0, 1)[..., None]
    return np.asarray(up + confidence * (mean - up), np.float32)


def _area(array: NDArray[Any], size: tuple[int, int]) -> Float32:
    return np.asarray(cv2.resize(np.asarray(array, np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
