"""Axis-aligned boxes in plate pixels, and tilings of a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open box: x0 <= x < x1, y0 <= y < y1; may reach outside the picture."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Rows."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """Width times height, 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def size(self) -> float:
        """The longer side."""
        return max(self.width, self.height)

    def grown(self, share: float) -> Box:
        """Wider and higher by a share of its size on every side."""
        dx, dy = share * self.width, share * self.height
        return Box(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)

    def distance(self, x: float, y: float) -> float:
        """From the centre to a point."""
        return float(np.hypot(x - self.centre[0], y - self.centre[1]))

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies inside."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1


def box_of(landmarks: NDArray[np.floating[Any]]) -> Box:
    """The box around one face's landmarks (L, 2 or 3)."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    shared = Box(max(a.x0, b.x0), max(a.y0, b.y0), min(a.x1, b.x1), min(a.y1, b.y1))
    if shared.width <= 0 or shared.height <= 0:
        return 0.0
    return shared.area / (a.area + b.area - shared.area)


def tiles(width: int, height: int, side: int) -> list[Box]:
    """Squares that cover a picture with a third of overlap or more: a face at a seam is whole in one of them."""
    return [
        Box(x, y, min(x + side, width), min(y + side, height))
        for y in _starts(height, side)
        for x in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if side >= length:
        return [0]
    count = int(np.ceil((length - side) / (side * 2 / 3))) + 1
    return [round(i * (length - side) / (count - 1)) for i in range(count)]
