"""Painted corrections: vectors in face space, so that paint stays on the lip while the head moves.

Convention: canonical crop pixels (416 rows, 320 columns), x right, y down, origin at the centre of the top-left pixel,
whatever the size of the maps that the stroke is painted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.follow import Follower
from julnet_plugin.matte.jsonio import Reader, shortened

StrokeKind = Literal["add", "subtract", "smooth", "clone"]
STROKE_KINDS: tuple[StrokeKind, ...] = get_args(StrokeKind)
Point = tuple[float, float, float]  #: x, y, pressure in [0, 1]

REACH = 10_000.0  #: points further out than this are damage, not paint
MAX_SIZE_PX = 2_000.0
MAX_POINTS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Where a stroke lies on one frame."""

    frame: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One painted stroke.

    With one shape it lies there on every frame of its range. With several, it travels from shape to shape and rests
    before the first and after the last.
    """

    id: str
    kind: StrokeKind
    shapes: tuple[Shape, ...]  #: in order of frames, one a frame, at least one
    start: int  #: first frame
    stop: int  #: frame after the last
    size_px: float = 24.0  #: diameter at full pressure, canonical crop pixels
    hardness: float = 0.5  #: share of the radius that is fully painted
    opacity: float = 1.0
    fade_in: int = 0  #: frames over which the stroke comes in after `start`
    fade_out: int = 0  #: frames over which it goes before `stop`
    clone_offset: int = 0  #: "clone": the matte comes from this many frames later (negative: earlier)
    filled: bool = False  #: a lasso: what the closed outline holds is painted too, with the brush's edge around it
    extra: Mapping[str, Any] = field(default_factory=dict)  #: fields of a newer version, written back as they were

    def weight_at(self, frame: int) -> float:
        """How strongly the stroke acts on a frame: opacity and fades; 0 outside its range."""
        if not self.start <= frame < self.stop:
            return 0.0
        rise = (frame - self.start + 1) / (self.fade_in + 1)
        fall = (self.stop - frame) / (self.fade_out + 1)
        return self.opacity * min(rise, fall, 1.0)

    def points_at(self, frame: int, follow: Follower | None = None) -> NDArray[np.float64]:
        """(P, 3) x, y, pressure on a frame; `follow` takes each shape from its own frame there."""
        shapes = self.shapes
        after = next((i for i, shape in enumerate(shapes) if shape.frame >= frame), len(shapes) - 1)
        last = shapes[after]
        if after == 0 or last.frame <= frame:
            return _carried(np.array(last.points, np.float64), last.frame, frame, follow)
        before = shapes[after - 1]
        x = (frame - before.frame) / (last.frame - before.frame)
        a, b = _matched(before.points, last.points)
        return _carried(a, before.frame, frame, follow) * (1 - x) + _carried(b, last.frame, frame, follow) * x

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            **self.extra,
            "id": self.id,
            "kind": self.kind,
            "start": self.start,
            "stop": self.stop,
            "size_px": self.size_px,
            "hardness": self.hardness,
            "opacity": self.opacity,
            "fade_in": self.fade_in,
            "fade_out": self.fade_out,
            "clone_offset": self.clone_offset,
            "filled": self.filled,
            "shapes": [{"frame": s.frame, "points": [list(p) for p in s.points]} for s in self.shapes],
        }


def read_stroke(reader: Reader) -> Stroke:
    """Read a stroke from a document."""
    shapes: dict[int, Shape] = {}
    for item in reader.sections("shapes"):
        frame = item.frame("frame")
        shapes[frame] = Shape(frame=frame, points=_read_points(item.sequence("points"), reader))
    if not shapes:
        msg = f"a stroke ({shortened(reader.text('id', ''))}) has no shapes; give it points on a frame or remove it"
        raise SettingsError(msg, key="shapes")
    stroke = Stroke(
        id=reader.text("id", ""),
        kind=reader.choice("kind", STROKE_KINDS),
        shapes=tuple(shapes[f] for f in sorted(shapes)),
        start=reader.frame("start"),
        stop=reader.frame("stop"),
        size_px=reader.number("size_px", 0.0, MAX_SIZE_PX, 24.0),
        hardness=reader.number("hardness", 0.0, 1.0, 0.5),
        opacity=reader.number("opacity", 0.0, 1.0, 1.0),
        fade_in=max(reader.frame("fade_in", 0), 0),
        fade_out=max(reader.frame("fade_out", 0), 0),
        clone_offset=reader.frame("clone_offset", 0),
        filled=reader.flag("filled", default=False),
    )
    object.__setattr__(stroke, "extra", reader.rest())
    return stroke


def _read_points(values: list[Any], reader: Reader) -> tuple[Point, ...]:
    """Points as [x, y] or [x, y, pressure]."""
    if not 1 <= len(values) <= MAX_POINTS:
        msg = f"a stroke has {len(values)} points, but 1 to {MAX_POINTS} are needed; mend or remove it"
        raise SettingsError(msg, key="points")
    return tuple(_read_point(value) for value in values)


def _read_point(value: Any) -> Point:
    numbers = value if isinstance(value, list) and len(value) in (2, 3) else None
    if numbers is None or not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers):
        msg = f"a stroke's point is {shortened(value)}, but [x, y] or [x, y, pressure] is needed; mend or remove it"
        raise SettingsError(msg, key="points")
    x, y, pressure = (*numbers, 1.0)[:3]
    if not (abs(x) <= REACH and abs(y) <= REACH and 0 <= pressure <= 1):
        msg = f"a stroke's point {shortened(value)} lies outside the crop or its pressure outside 0 to 1; mend it"
        raise SettingsError(msg, key="points")
    return float(x), float(y), float(pressure)


def _carried(points: NDArray[np.float64], source: int, target: int, follow: Follower | None) -> NDArray[np.float64]:
    """Points with their pressure, moved from one frame to another."""
    if follow is None or source == target:
        return points
    return np.column_stack([follow(points[:, :2], source, target), points[:, 2]])


@lru_cache(maxsize=256)
def _matched(first: tuple[Point, ...], second: tuple[Point, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two shapes with the same number of points, spread alike along their length, so that they can be blended."""
    a, b = np.array(first, np.float64), np.array(second, np.float64)
    if len(a) == len(b):
        return a, b
    places = np.linspace(0, 1, max(len(a), len(b)))
    return _along(a, places), _along(b, places)


def _along(points: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points at given shares of a polyline's length."""
    steps = np.hypot(np.diff(points[:, 0]), np.diff(points[:, 1]))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if length[-1] <= 0:
        return np.repeat(points[:1], len(places), axis=0)
    length /= length[-1]
    return np.stack([np.interp(places, length, points[:, k]) for k in range(3)], axis=1)
