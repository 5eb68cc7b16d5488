"""Strokes over the automatic matte: the whole of it for a render, or only the tiles that a dab touches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import CROP_W
from julnet_plugin.matte.masks import MaskCache, bounds
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
    masks: MaskCache | None = None,
) -> Float32:
    """Paint every stroke that acts on a frame over the automatic matte.

    Args:
        base: (h, w) automatic matte of the frame; left as it is.
        strokes: in the order they were painted.
        frame: plate frame.
        clone: automatic matte of another frame, for "clone" strokes; where it is missing or None they do nothing.
        window: the part of the matte that is wanted; all of it when None.
        masks: where rasterised strokes are kept between calls.

    Returns:
        The painted window, (window.height, window.width) in [0, 1].
    """
    whole = Rect(x0=0, y0=0, x1=base.shape[1], y1=base.shape[0])
    window = window or whole
    masks = masks or MaskCache()
    active = [s for s in strokes if s.weight_at(frame) > 0]
    # smoothing looks beyond the window, and so does every smoothing stroke before it
    reach = _padded(window, sum(_smooth_margin(s, base.shape[1]) for s in active), whole)
    matte = np.array(base[reach.slices], np.float32)
    for stroke in active:
        rect, mask = masks.mask(stroke, frame, base.shape)
        part = None if rect is None else _overlap(rect, reach)
        if rect is None or part is None:
            continue
        share = mask[_within(part, rect)] * np.float32(stroke.weight_at(frame))
        target = _target(matte, stroke, frame, part, reach, base.shape[1], clone)
        if target is not None:
            inside = _within(part, reach)
            matte[inside] += (target - matte[inside]) * share
    return np.clip(matte[_within(window, reach)], 0, 1)


class StrokeCanvas:
    """The painted matte of the frame on screen, kept up to date tile by tile.

    Args:
        base: (h, w) automatic matte of the frame.
        strokes: what is painted already.
        frame: plate frame.
        clone: see `paint`.
        masks: rasterised strokes to share with a chain; its own when None.
    """

    def __init__(
        self,
        base: FloatArray,
        strokes: Sequence[Stroke],
        frame: int,
        clone: CloneSource | None = None,
        masks: MaskCache | None = None,
    ) -> None:
        self._base = base
        self._strokes = tuple(strokes)
        self._frame = frame
        self._clone = clone
        self._masks = masks or MaskCache()
        self.matte: Float32 = paint(base, self._strokes, frame, clone=clone, masks=self._masks)

    def update(self, strokes: Sequence[Stroke]) -> list[Rect]:
        """Take over edited strokes and repaint only what they touch.

        Returns:
            The repainted tiles, in map pixels: what a viewer must redraw.
        """
        dirty = self._dirty(tuple(strokes))
        self._strokes = tuple(strokes)
        for tile in dirty:
            self.matte[tile.slices] = paint(
                self._base, self._strokes, self._frame, clone=self._clone, window=tile, masks=self._masks
            )
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
            if kept == len(removed[0].shapes[0].points) and removed[0].weight_at(self._frame) > 0:
                self._masks.extend(removed[0], added[0], self._frame, self._base.shape)
        later = [s for s in strokes[len(strokes) - last :] if s.kind == "smooth" and (removed or added)]
        boxes = [self._bounds(s, kept) for s in (*removed, *added)] + [self._bounds(s, 0) for s in later]
        return _tiles(self._base.shape, [box for box in boxes if box is not None])

    def _bounds(self, stroke: Stroke, kept: int) -> Rect | None:
        """Map pixels that a stroke touches; without its first points where an edit kept those."""
        if stroke.weight_at(self._frame) <= 0:
            return None
        points = self._masks.points(stroke, self._frame)
        return bounds(points[max(min(kept, len(points)) - 1, 0) :], stroke.size_px, self._base.shape)


def _target(
    matte: Float32,
    stroke: Stroke,
    frame: int,
    part: Rect,
    reach: Rect,
    width: int,
    clone: CloneSource | None,
) -> Float32 | None:
    """What a stroke pulls the matte towards, on the part of the map that it touches; None: nothing."""
    if stroke.kind == "clone":
        other = None if clone is None else clone(frame + stroke.clone_offset)
        return None if other is None else np.asarray(other[part.slices], np.float32)
    if stroke.kind == "smooth":
        margin = _smooth_margin(stroke, width)
        context = _padded(part, margin, reach)
        side = (2 * margin + 1, 2 * margin + 1)
        blurred = cv2.GaussianBlur(
            matte[_within(context, reach)], side, _smooth_px(stroke, width), borderType=cv2.BORDER_REPLICATE
        )
        return np.asarray(blurred[_within(part, context)], np.float32)
    return np.full((part.height, part.width), 1.0 if stroke.kind == "add" else 0.0, np.float32)


def _smooth_px(stroke: Stroke, width: int) -> float:
    """Deviation of a smoothing stroke's blur, map pixels."""
    return max(stroke.size_px * _SMOOTH_SHARE * width / CROP_W, 0.3)


def _smooth_margin(stroke: Stroke, width: int) -> int:
    """How far a smoothing stroke looks, map pixels; 0 for other strokes."""
    return int(np.ceil(3 * _smooth_px(stroke, width))) if stroke.kind == "smooth" else 0


def _shared(first: Sequence[Stroke], second: Sequence[Stroke]) -> int:
    """How many strokes two lists have in common at their beginning."""
    count = 0
    while count < min(len(first), len(second)) and (first[count] is second[count] or first[count] == second[count]):
        count += 1
    return count


def _common_points(old: Stroke, new: Stroke) -> int:
    """How many first points a stroke that is being drawn keeps; 0 for any other edit, and for a lasso."""
    if old.filled or len(old.shapes) != 1 or len(new.shapes) != 1 or replace(old, shapes=new.shapes) != new:
        return 0
    a, b = old.shapes[0].points, new.shapes[0].points
    count = min(len(a), len(b))
    return count if a[:count] == b[:count] else 0


def _tiles(shape: tuple[int, ...], boxes: list[Rect]) -> list[Rect]:
    """The tiles of a map (h, w) that some boxes touch."""
    height, width = shape[:2]
    marked: set[tuple[int, int]] = set()
    for box in boxes:
        rows, columns = range(box.y0 // TILE, -(-box.y1 // TILE)), range(box.x0 // TILE, -(-box.x1 // TILE))
        marked.update((row, column) for row in rows for column in columns)
    return [
        Rect(x0=c * TILE, y0=r * TILE, x1=min((c + 1) * TILE, width), y1=min((r + 1) * TILE, height))
        for r, c in sorted(marked)
    ]


def _padded(window: Rect, margin: int, whole: Rect) -> Rect:
    return Rect(
        x0=max(window.x0 - margin, whole.x0),
        y0=max(window.y0 - margin, whole.y0),
        x1=min(window.x1 + margin, whole.x1),
        y1=min(window.y1 + margin, whole.y1),
    )


def _overlap(a: Rect, b: Rect) -> Rect | None:
    x0, y0, x1, y1 = max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1)
    return Rect(x0=x0, y0=y0, x1=x1, y1=y1) if x1 > x0 and y1 > y0 else None


def _within(part: Rect, whole: Rect) -> tuple[slice, slice]:
    """Slices of `part` in an array that covers `whole`."""
    y, x = part.y0 - whole.y0, part.x0 - whole.x0
    return slice(y, y + part.height), slice(x, x + part.width)
