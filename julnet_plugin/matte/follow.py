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
        landmarks: plate frame to (L, 2) canonical crop pixels; None on frames that have none.
    """

    def __init__(self, landmarks: Callable[[int], NDArray[np.floating[Any]] | None]) -> None:
        self._landmarks = landmarks

    @classmethod
    def over(cls, landmarks: NDArray[np.floating[Any]], first: int = 0) -> LandmarkFollower:
        """Of landmarks (T, L, 2) in memory, NaN on frames that have none; `first` is the plate frame of the first."""

        def at(frame: int) -> NDArray[np.floating[Any]] | None:
            known = 0 <= frame - first < len(landmarks) and np.isfinite(landmarks[frame - first]).all()
            return np.asarray(landmarks[frame - first]) if known else None

        return cls(at)

    def __call__(self, points: Float64, source: int, target: int) -> Float64:
        """Where points of frame `source` lie on frame `target`; unmoved where either has no landmarks."""
        if source == target:
            return points
        before, after = self._landmarks(source), self._landmarks(target)
        if before is None or after is None:
            return points
        return moved(points, np.asarray(before, np.float64), np.asarray(after, np.float64))


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
