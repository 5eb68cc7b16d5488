"""Paint that stays on the lip while the lip moves: strokes carried along by landmarks of the finished picture.

The stabilised crop holds the head still, but not the mouth: between two frames of speech a lip moves by several pixels.
Where a take knows the face's landmarks on every frame (of the dub, not of the plate), a stroke painted on one frame
goes with them; without landmarks it stays where it is in the crop.

Source:
    Schaefer, McPhail & Warren 2006, "Image deformation using moving least squares", affine case, eq. 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

#: moves points (P, 2) in canonical crop pixels from one plate frame to another
Follower = Callable[[Float64, int, int], Float64]

_NEAR = 1.5  #: canonical pixels within which landmarks count alike, so that a jittering one does not tear


class LandmarkFollower:
    """Carries points from frame to frame by the landmarks around them, near ones most.

    Args:
        landmarks: (T, L, 2) canonical crop pixels; NaN on frames that have none.
        first: plate frame of landmarks[0].
    """

    def __init__(self, landmarks: NDArray[np.floating[Any]], first: int = 0) -> None:
        self._landmarks = np.asarray(landmarks, np.float64)
        self._first = first

    def __call__(self, points: Float64, source: int, target: int) -> Float64:
        """Where points of frame `source` lie on frame `target`; unmoved where either has no landmarks."""
        before, after = self._at(source), self._at(target)
        if source == target or before is None or after is None:
            return points
        return moved(points, before, after)

    def _at(self, frame: int) -> Float64 | None:
        index = frame - self._first
        if not 0 <= index < len(self._landmarks) or not np.isfinite(self._landmarks[index]).all():
            return None
        return np.asarray(self._landmarks[index])


def moved(points: Float64, before: Float64, after: Float64) -> Float64:
    """Deform points (P, 2) as the landmarks (L, 2) go from `before` to `after`.

    Every point has its own affine map, fitted to all landmarks with weights 1 / distance⁴: a landmark carries a point
    on it exactly, and a point far from all of them goes with the face as a whole.
    """
    distance = np.square(points[:, None] - before[None]).sum(axis=-1)
    weight = 1.0 / np.square(distance + _NEAR**2)
    weight /= weight.sum(axis=1, keepdims=True)
    centre, goal = weight @ before, weight @ after
    p, q = before[None] - centre[:, None], after[None] - goal[:, None]
    spread = np.einsum("pl,pli,plj->pij", weight, p, p)
    # where all the weight lies on one landmark there is nothing to fit a turn to: fall back to a shift
    ridge = np.eye(2) * 0.25
    cross = np.einsum("pl,pli,plj->pij", weight, p, q - p)
    linear = np.linalg.solve(spread + ridge, cross)
    offset = points - centre
    return np.asarray(goal + offset + np.einsum("pi,pij->pj", offset, linear), np.float64)
