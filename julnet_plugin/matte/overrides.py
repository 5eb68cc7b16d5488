"""Matte pixels that somebody set in another program, over what σ and strokes give.

Only what was changed is kept. The rest of the matte still follows its parameters and strokes, and an edit of one pixel
changes one pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.types import Rect

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MattePixels:
    """What was set on one frame, on the plate's pixels or on the crop's.

    Shape:
        values: (rect.height, rect.width) float32 in [0, 1].
        edited: the same, bool: where `values` counts.
    """

    rect: Rect
    values: Float32
    edited: NDArray[np.bool_]

    def put_into(self, matte: Float32, rect: Rect, drawn: NDArray[np.bool_] | None = None) -> None:
        """Write the edited pixels into a matte of some rectangle, in place.

        Args:
            matte: (rect.height, rect.width).
            rect: where it lies on the same pixels.
            drawn: (rect.height, rect.width), where there is a matte at all; everywhere when None.
        """
        x0, x1 = max(self.rect.x0, rect.x0), min(self.rect.x1, rect.x1)
        y0, y1 = max(self.rect.y0, rect.y0), min(self.rect.y1, rect.y1)
        if x0 >= x1 or y0 >= y1:
            return
        there = (slice(y0 - rect.y0, y1 - rect.y0), slice(x0 - rect.x0, x1 - rect.x0))
        mine = (slice(y0 - self.rect.y0, y1 - self.rect.y0), slice(x0 - self.rect.x0, x1 - self.rect.x0))
        where = self.edited[mine] if drawn is None else self.edited[mine] & drawn[there]
        np.copyto(matte[there], self.values[mine], where=where)


def changed_pixels(
    derived: Float32, given: Float32, rect: Rect, tolerance: float, within: NDArray[np.bool_] | None = None
) -> MattePixels | None:
    """What a matte that came back sets anew; None where it is the one that was delivered.

    Args:
        derived: (rect.height, rect.width) the matte as it was delivered.
        given: the same pixels of what came back.
        rect: where they lie.
        tolerance: what the file's own precision may have changed.
        within: where there is a matte at all; everywhere when None.
    """
    edited = np.abs(given - derived) > tolerance
    if within is not None:
        edited &= within
    rows, columns = np.flatnonzero(edited.any(axis=1)), np.flatnonzero(edited.any(axis=0))
    if rows.size == 0:
        return None
    y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    tight = Rect(x0=rect.x0 + x0, y0=rect.y0 + y0, x1=rect.x0 + x1, y1=rect.y0 + y1)
    return MattePixels(
        rect=tight,
        values=np.ascontiguousarray(np.clip(given[y0:y1, x0:x1], 0, 1), np.float32),
        edited=np.ascontiguousarray(edited[y0:y1, x0:x1]),
    )
