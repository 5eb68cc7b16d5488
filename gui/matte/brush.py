"""What the brush is, and how a stroke grows under it. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from julnet_plugin.matte.strokes import Point, Shape, Stroke

if TYPE_CHECKING:
    from julnet_plugin.types import FrameRange

Kind = Literal["add", "subtract", "smooth"]
Reach = Literal["frame", "stretch", "shot"]  #: how long a new stroke lasts

LEAST_PX, MOST_PX = 2.0, 300.0  #: of the brush, canonical crop pixels
_STEP = 1.2  #: of `[` and `]`
_SPACING = 0.06  #: points closer than this share of the brush's size add nothing to a stroke
_NAMES: dict[Kind, str] = {"add": "Paint", "subtract": "Erase", "smooth": "Smooth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """What the next stroke is painted with."""

    kind: Kind = "add"
    lasso: bool = False
    size_px: float = 32.0  #: diameter at full pressure, canonical crop pixels
    hardness: float = 0.5
    opacity: float = 1.0
    pressure: bool = True  #: a pen's pressure narrows the stroke
    reach: Reach = "frame"
    fade: int = 0  #: frames over which a stroke that lasts comes and goes

    def resized(self, size_px: float) -> Brush:
        """Another size, within what a brush can be."""
        return replace(self, size_px=min(max(size_px, LEAST_PX), MOST_PX))

    def larger(self) -> Brush:
        """One step of `]`."""
        return self.resized(self.size_px * _STEP)

    def smaller(self) -> Brush:
        """One step of `[`."""
        return self.resized(self.size_px / _STEP)

    def dragged(self, right: float, up: float) -> Brush:
        """Size by a drag to the right, hardness by a drag upwards, both in canonical crop pixels."""
        return replace(self.resized(self.size_px + 2 * right), hardness=min(max(self.hardness + up / 200, 0.0), 1.0))

    def swapped(self) -> Brush:
        """Add for subtract, subtract for add."""
        return replace(self, kind="add" if self.kind == "subtract" else "subtract")

    @property
    def action(self) -> str:
        """What a stroke is called in the history."""
        return f"{_NAMES[self.kind]} with the lasso" if self.lasso else f"{_NAMES[self.kind]} matte"


def lasting(brush: Brush, frame: int, stretch: FrameRange | None, shot: FrameRange) -> tuple[int, int]:
    """First frame and frame after the last of a new stroke. Outside every stretch it lasts one frame."""
    if brush.reach == "shot":
        return shot.start, shot.stop
    if brush.reach == "stretch" and stretch is not None and frame in stretch:
        return stretch.start, stretch.stop
    return frame, frame + 1


def begun(brush: Brush, frame: int, point: Point, start: int, stop: int) -> Stroke:
    """A stroke with its first dab. The id is empty: `edits.add_stroke` gives it one."""
    fade = min(brush.fade, max((stop - start - 1) // 2, 0))
    return Stroke(
        id="",
        kind=brush.kind,
        shapes=(Shape(frame=frame, points=(point,)),),
        start=start,
        stop=stop,
        size_px=2.0 if brush.lasso else brush.size_px,
        hardness=brush.hardness,
        opacity=brush.opacity,
        fade_in=fade,
        fade_out=fade,
        filled=brush.lasso,
    )


def extended(stroke: Stroke, point: Point, *, always: bool = False) -> Stroke:
    """A stroke led on to a point; the same one where the point is too near to show, unless `always`."""
    (shape,) = stroke.shapes
    x, y, pressure = shape.points[-1]
    step = math.hypot(point[0] - x, point[1] - y)
    near = step < max(_SPACING * stroke.size_px, 0.5) and abs(point[2] - pressure) < 0.1
    if (near and not always) or point == shape.points[-1]:
        return stroke
    return replace(stroke, shapes=(replace(shape, points=(*shape.points, point)),))
