"""Masks of painted strokes, and a cache of them: a stroke is rasterised once, while it is drawn only its new end."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import CROP_W
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from julnet_plugin.matte.follow import Follower
    from julnet_plugin.matte.strokes import Stroke

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def stroke_mask(
    points: Float64, size_px: float, hardness: float, window: Rect, width: int, *, filled: bool = False
) -> Float32:
    """A stroke's own mask in [0, 1] inside a window: the strongest of its round dabs and of the lines between them.

    Points do not build up on one another, so their order and the window change nothing.

    Args:
        points: (P, 3) x, y in canonical crop pixels, pressure, which scales the radius.
        size_px: diameter at full pressure, canonical crop pixels.
        hardness: share of the radius that is fully painted; the rest falls off smoothly, over a pixel at least.
        window: map pixels wanted.
        width: columns of the whole map.
        filled: the points are the outline of an area, which is painted whole.
    """
    mask = np.zeros((window.height, window.width), np.float32)
    outline = np.concatenate([points, points[:1]]) if filled else points
    _draw(mask, window, outline, size_px, hardness, width)
    if filled:
        _fill(mask, window, points, width)
    return mask


def bounds(points: Float64, size_px: float, shape: tuple[int, ...]) -> Rect | None:
    """Map pixels that a stroke may touch, on a map of (h, w); None where it lies beside the map."""
    k = shape[1] / CROP_W
    reach = size_px / 2 * k + 2
    xy = (points[:, :2] + 0.5) * k - 0.5
    x0, y0 = np.clip(np.floor(xy.min(axis=0) - reach), 0, shape[1::-1]).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(xy.max(axis=0) + reach) + 1, 0, shape[1::-1]).astype(int).tolist()
    return Rect(x0=x0, y0=y0, x1=x1, y1=y1) if x1 > x0 and y1 > y0 else None


class MaskCache:
    """Masks of the strokes seen last, each inside its own bounds.

    Strokes are told apart by identity: documents are values, and an edit leaves all other strokes the same objects.

    Args:
        size: most masks kept.
        follow: carries strokes along with the face; None leaves them where they are in the crop.
    """

    def __init__(self, size: int = 96, follow: Follower | None = None) -> None:
        self._size = size
        self._follow = follow
        self._known: OrderedDict[tuple[int, int, tuple[int, ...]], tuple[Stroke, Rect | None, Float32]] = OrderedDict()

    def points(self, stroke: Stroke, frame: int) -> Float64:
        """(P, 3) x, y, pressure of a stroke on a frame."""
        return stroke.points_at(frame, self._follow)

    def mask(self, stroke: Stroke, frame: int, shape: tuple[int, ...]) -> tuple[Rect | None, Float32]:
        """(bounds, mask inside them) of a stroke on a frame, on a map of (h, w)."""
        key = self._key(stroke, frame, shape)
        known = self._known.get(key)
        if known is None or known[0] is not stroke:
            points = self.points(stroke, frame)
            rect = bounds(points, stroke.size_px, shape)
            mask = (
                np.zeros((0, 0), np.float32)
                if rect is None
                else stroke_mask(points, stroke.size_px, stroke.hardness, rect, shape[1], filled=stroke.filled)
            )
            known = self._put(key, stroke, rect, mask)
        self._known.move_to_end(key)
        return known[1], known[2]

    def extend(self, old: Stroke, new: Stroke, frame: int, shape: tuple[int, ...]) -> None:
        """Derive the mask of a stroke that is being drawn from the one it had before its last points.

        Args:
            old: a stroke with one shape.
            new: the same stroke with more points at its end; not a filled one, whose end moves its other side.
            frame: plate frame.
            shape: (h, w) of the map.
        """
        before, mask = self.mask(old, frame, shape)
        points = self.points(new, frame)
        rect = bounds(points, new.size_px, shape)
        if before is None or rect is None:
            return
        whole = np.zeros((rect.height, rect.width), np.float32)
        y, x = before.y0 - rect.y0, before.x0 - rect.x0
        whole[y : y + before.height, x : x + before.width] = mask
        added = points[len(old.shapes[0].points) - 1 :]
        _draw(whole, rect, added, new.size_px, new.hardness, shape[1])
        self._put(self._key(new, frame, shape), new, rect, whole)

    def _key(self, stroke: Stroke, frame: int, shape: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
        """A stroke with one shape looks alike on every frame, unless it follows the face."""
        return id(stroke), -1 if self._follow is None and len(stroke.shapes) == 1 else frame, shape

    def _put(
        self, key: tuple[int, int, tuple[int, ...]], stroke: Stroke, rect: Rect | None, mask: Float32
    ) -> tuple[Stroke, Rect | None, Float32]:
        self._known[key] = (stroke, rect, mask)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return self._known[key]


def _draw(mask: Float32, window: Rect, points: Float64, size_px: float, hardness: float, width: int) -> None:
    k = width / CROP_W
    rows = np.column_stack([(points[:, :2] + 0.5) * k - 0.5, points[:, 2] * (size_px / 2 * k)]).tolist()
    _stamp(mask, window, rows[0], rows[0], hardness)
    for start, stop in pairwise(rows):
        _stamp(mask, window, start, stop, hardness)
        if start[2] != stop[2]:  # a line that narrows quickly does not cover the dabs at its ends
            _stamp(mask, window, stop, stop, hardness)


def _fill(mask: Float32, window: Rect, points: Float64, width: int) -> None:
    """Paint what an outline holds, by the even-odd rule; an edge of a pixel lies under the line that is drawn on it."""
    import cv2

    k = width / CROP_W
    corners = (points[:, :2] + 0.5) * k - 0.5 - (window.x0, window.y0)
    inside = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(corners * 16).astype(np.int32)], (1,), lineType=cv2.LINE_8, shift=4)
    np.maximum(mask, inside, out=mask)


def _stamp(mask: Float32, window: Rect, a: list[float], b: list[float], hardness: float) -> None:
    """Raise a window's mask to a soft line from a to b (x, y, radius each); only pixels near it are touched.

    Coordinates are those of the whole map until they are differences, so that every window rounds alike.
    """
    (ax, ay, ra), (bx, by, rb) = a, b
    reach = max(ra, rb) + 1.0
    x0, x1 = max(int(min(ax, bx) - reach), window.x0), min(int(max(ax, bx) + reach) + 2, window.x1)
    y0, y1 = max(int(min(ay, by) - reach), window.y0), min(int(max(ay, by) + reach) + 2, window.y1)
    if x0 >= x1 or y0 >= y1 or max(ra, rb) <= 0:
        return
    dx = (np.arange(x0, x1) - ax).astype(np.float32)
    dy = (np.arange(y0, y1) - ay).astype(np.float32)[:, None]
    wx, wy = np.float32(bx - ax), np.float32(by - ay)
    square = wx * wx + wy * wy
    radius: Float32 | np.float32 = np.float32(ra)
    if square > 0:
        along = dx * (wx / square) + dy * (wy / square)
        np.clip(along, 0, 1, out=along)
        if ra != rb:
            radius = along * np.float32(rb - ra) + np.float32(ra)
        distance = np.sqrt(np.square(dx - along * wx) + np.square(dy - along * wy))
    else:
        distance = np.sqrt(dx * dx + dy * dy)
        radius = np.float32(max(ra, rb))
    edge = np.maximum(np.float32(1 - hardness) * radius, np.float32(1))
    fall = np.clip((radius + np.float32(0.5) - distance) / edge, 0, 1)
    # thinner than a pixel is fainter, down to nothing
    fall *= fall * (3 - 2 * fall) * np.minimum(2 * radius, np.float32(1))
    part = mask[y0 - window.y0 : y1 - window.y0, x0 - window.x0 : x1 - window.x0]
    np.maximum(part, fall, out=part)
