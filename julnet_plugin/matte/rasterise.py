"""Strokes to pixels: whole mattes for a render, or only the tiles that a dab touches.

A stroke's own points never build up on one another (the strongest wins), so a tile painted alone equals the same tile
of the whole matte, in whatever order the points came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import CROP_W
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from julnet_plugin.matte.strokes import Stroke
    from julnet_plugin.types import FloatArray

Float32 = NDArray[np.float32]
CloneSource = Callable[[int], "FloatArray | None"]

TILE = 64  #: side of a tile in map pixels
_SMOOTH_SHARE = 0.25  #: deviation of a smoothing stroke's blur, as a share of its diameter


def paint(
    base: FloatArray,
    strokes: Sequence[Stroke],
    frame: int,
    *,
    clone: CloneSource | None = None,
    window: Rect | None = None,
) -> Float32:
    """Paint every stroke that acts on a frame over the automatic matte.

    Args:
        base: (h, w) automatic matte of the frame; left as it is.
        strokes: in the order they were painted.
        frame: plate frame.
        clone: automatic matte of another frame, for "clone" strokes; where it is missing or None they do nothing.
        window: the part of the matte that is wanted; all of it when None.

    Returns:
        The painted window, (window.height, window.width) in [0, 1].
    """
    whole = Rect(x0=0, y0=0, x1=base.shape[1], y1=base.shape[0])
    window = window or whole
    active = [s for s in strokes if s.weight_at(frame) > 0]
    # smoothing looks beyond the window, and so does every smoothing stroke before it
    reach = _padded(window, sum(_smooth_margin(s, base.shape[1]) for s in active), whole)
    matte = np.array(base[reach.slices], np.float32)
    for stroke in active:
        matte = _painted(matte, stroke, frame, reach, base.shape[1], clone)
    y, x = window.y0 - reach.y0, window.x0 - reach.x0
    return matte[y : y + window.height, x : x + window.width]


def stroke_mask(points: NDArray[np.float64], size_px: float, hardness: float, window: Rect, width: int) -> Float32:
    """A stroke's own mask in [0, 1] inside a window: the strongest of its round dabs and of the lines between them.

    Args:
        points: (P, 3) x, y in canonical crop pixels, pressure, which scales the radius.
        size_px: diameter at full pressure, canonical crop pixels.
        hardness: share of the radius that is fully painted; the rest falls off smoothly, over a pixel at least.
        window: map pixels wanted.
        width: columns of the whole map.
    """
    k = width / CROP_W
    xy = (points[:, :2] + 0.5) * k - 0.5
    radius = size_px / 2 * k * points[:, 2]
    mask = np.zeros((window.height, window.width), np.float32)
    if len(points) == 1:
        _stamp(mask, window, (xy[0], xy[0]), (radius[0], radius[0]), hardness)
    for i, j in pairwise(range(len(points))):
        _stamp(mask, window, (xy[i], xy[j]), (radius[i], radius[j]), hardness)
    return mask


class StrokeCanvas:
    """The painted matte of the frame on screen, kept up to date tile by tile.

    Args:
        base: (h, w) automatic matte of the frame.
        strokes: what is painted already.
        frame: plate frame.
        clone: see `paint`.
    """

    def __init__(
        self, base: FloatArray, strokes: Sequence[Stroke], frame: int, clone: CloneSource | None = None
    ) -> None:
        self._base = base
        self._strokes = tuple(strokes)
        self._frame = frame
        self._clone = clone
        self.matte: Float32 = paint(base, self._strokes, frame, clone=clone)

    def update(self, strokes: Sequence[Stroke]) -> list[Rect]:
        """Take over edited strokes and repaint only what they touch.

        Returns:
            The repainted tiles, in map pixels: what a viewer must redraw.
        """
        dirty = self._dirty(tuple(strokes))
        self._strokes = tuple(strokes)
        for tile in dirty:
            self.matte[tile.slices] = paint(self._base, self._strokes, self._frame, clone=self._clone, window=tile)
        return dirty

    def _dirty(self, strokes: tuple[Stroke, ...]) -> list[Rect]:
        """Tiles where the two stroke lists can differ.

        A stroke changes nothing beyond its own bounds. An unchanged smoothing stroke painted later carries a change
        on, but again no further than its own bounds.
        """
        old = self._strokes
        first = _shared(old, strokes)
        last = _shared(old[first:][::-1], strokes[first:][::-1])
        removed, added = old[first : len(old) - last], strokes[first : len(strokes) - last]
        kept = 0
        if len(removed) == len(added) == 1:
            kept = _common_points(removed[0], added[0])
        later = [s for s in strokes[len(strokes) - last :] if s.kind == "smooth" and (removed or added)]
        boxes = [self._bounds(s, kept) for s in (*removed, *added)] + [self._bounds(s, 0) for s in later]
        return _tiles(self._base.shape, [box for box in boxes if box is not None])

    def _bounds(self, stroke: Stroke, kept: int) -> NDArray[np.float64] | None:
        """(x0, y0, x1, y1) that a stroke touches; without its first points where an edit kept those."""
        if stroke.weight_at(self._frame) <= 0:
            return None
        points = stroke.points_at(self._frame)
        points = points[max(min(kept, len(points)) - 1, 0) :]
        k = self._base.shape[1] / CROP_W
        radius = stroke.size_px / 2 * k + 2
        xy = (points[:, :2] + 0.5) * k - 0.5
        return np.asarray(np.concatenate([xy.min(axis=0) - radius, xy.max(axis=0) + radius]), np.float64)


def _shared(first: Sequence[Stroke], second: Sequence[Stroke]) -> int:
    """How many strokes two lists have in common at their beginning."""
    count = 0
    while count < min(len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _common_points(old: Stroke, new: Stroke) -> int:
    """How many first points a stroke that is being drawn keeps; 0 for any other edit."""
    if len(old.shapes) != 1 or len(new.shapes) != 1 or replace(old, shapes=new.shapes) != new:
        return 0
    a, b = old.shapes[0].points, new.shapes[0].points
    count = min(len(a), len(b))
    return count if a[:count] == b[:count] else 0


def _tiles(shape: tuple[int, ...], boxes: list[NDArray[np.float64]]) -> list[Rect]:
    height, width = shape[:2]
    marked: set[tuple[int, int]] = set()
    for x0, y0, x1, y1 in boxes:
        columns = range(max(int(x0) // TILE, 0), min(int(x1) // TILE + 1, -(-width // TILE)))
        rows = range(max(int(y0) // TILE, 0), min(int(y1) // TILE + 1, -(-height // TILE)))
        marked.update((row, column) for row in rows for column in columns)
    return [
        Rect(x0=c * TILE, y0=r * TILE, x1=min((c + 1) * TILE, width), y1=min((r + 1) * TILE, height))
        for r, c in sorted(marked)
    ]


def _painted(
    matte: Float32, stroke: Stroke, frame: int, window: Rect, width: int, clone: CloneSource | None
) -> Float32:
    """One stroke over the matte of a window."""
    mask = stroke_mask(stroke.points_at(frame), stroke.size_px, stroke.hardness, window, width)
    mask *= np.float32(stroke.weight_at(frame))
    if stroke.kind == "add":
        return matte + (1 - matte) * mask
    if stroke.kind == "subtract":
        return matte * (1 - mask)
    target = _smoothed(matte, stroke, width)
    if stroke.kind == "clone":
        other = None if clone is None else clone(frame + stroke.clone_offset)
        if other is None:
            return matte
        target = np.asarray(other[window.slices], np.float32)
    return np.asarray(np.clip(matte + (target - matte) * mask, 0, 1), np.float32)


def _smoothed(matte: Float32, stroke: Stroke, width: int) -> Float32:
    deviation = max(stroke.size_px * _SMOOTH_SHARE * width / CROP_W, 0.3)
    side = 2 * _smooth_margin(stroke, width) + 1
    blurred = cv2.GaussianBlur(matte, (side, side), deviation, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _smooth_margin(stroke: Stroke, width: int) -> int:
    """How far a smoothing stroke looks, map pixels; 0 for other strokes."""
    if stroke.kind != "smooth":
        return 0
    return int(np.ceil(3 * max(stroke.size_px * _SMOOTH_SHARE * width / CROP_W, 0.3)))


def _stamp(
    mask: Float32,
    window: Rect,
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    radii: tuple[float, float],
    hardness: float,
) -> None:
    """Raise a window's mask to a soft line from end to end, a dab where they meet; only pixels near it are touched.

    Coordinates are those of the whole map until they are differences, so that every window rounds alike.
    """
    (a, b), reach = ends, max(radii) + 1.0
    low = np.floor(np.minimum(a, b) - reach).astype(int)
    high = np.ceil(np.maximum(a, b) + reach).astype(int) + 1
    x0, y0 = np.maximum(low, (window.x0, window.y0))
    x1, y1 = np.minimum(high, (window.x1, window.y1))
    if x0 >= x1 or y0 >= y1 or max(radii) <= 0:
        return
    dx = (np.arange(x0, x1) - a[0]).astype(np.float32)[None]
    dy = (np.arange(y0, y1) - a[1]).astype(np.float32)[:, None]
    way = (b - a).astype(np.float32)
    square = way[0] * way[0] + way[1] * way[1]
    along = np.clip((dx * way[0] + dy * way[1]) / square, 0, 1) if square > 0 else np.float32(0)
    distance = np.hypot(dx - along * way[0], dy - along * way[1])
    radius = np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])
    edge = np.maximum((1 - np.float32(hardness)) * radius, 1)
    fall = np.clip((radius + np.float32(0.5) - distance) / edge, 0, 1)
    fall = fall * fall * (3 - 2 * fall) * np.minimum(2 * radius, 1)  # thinner than a pixel is fainter, down to nothing
    part = mask[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0]
    np.maximum(part, fall, out=part)


def _padded(window: Rect, margin: int, whole: Rect) -> Rect:
    return Rect(
        x0=max(window.x0 - margin, whole.x0),
        y0=max(window.y0 - margin, whole.y0),
        x1=min(window.x1 + margin, whole.x1),
        y1=min(window.y1 + margin, whole.y1),
    )
