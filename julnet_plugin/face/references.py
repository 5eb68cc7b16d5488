"""Which frames show the network who it is drawing: like the shot in pose, unlike one another in what the mouth does.

The choice is deterministic. It wants sharp, uncovered faces turned the way most of the shot is, among them a closed
mouth, an open one and a broad one that shows teeth, and then whatever lip shape is furthest from those chosen already.
Where a head turns away from the shot's usual pose for a while, those frames get references of their own pose: on people
the network never saw this lowers their error by about a tenth (docs/matte.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from julnet_plugin.errors import InputError, SettingsError
from julnet_plugin.face.crop import fit_poses
from julnet_plugin.face.lips import lip_aperture, lip_shape, lip_width

if TYPE_CHECKING:
    from julnet_plugin.face.tracks import FaceTrack

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_MOST = 600  #: frames that are compared; of longer tracks as many, evenly spread
_POSE_RAD = 0.26  #: a head turned this much (15°) further than the shot's usual pose costs 1
_GOOD = 0.6  #: frames that cost no more than this are all considered …
_POOL = 0.5  #: … and in any case this share of the frames, the best ones
_MIN_POOL = 24  #: fewer are not worth sorting out
_COST_WEIGHT = 0.03  #: face units of lip difference that a cost of 1 is worth
_NEAR = 0.15  #: the same share where a pose is asked for: a turned head is seen on few frames of a shot
_REACH_RAD = 0.105  #: (6°) poses further than this from every group's want a group of their own …
_LEAST = 12  #: … if there are so many frames of them
_MOST_GROUPS = 6
_SWITCH = 6.0  #: what going to another group costs; a frame in a wrong group costs its squared distance in reaches
CLEAR = 0.1  #: share of the mouth that something may lie over on a reference, if there are any others
_BESIDE = 2  #: frames on either side of a covered one that are not taken either
_AGAIN = 0.4  #: cost by which a seed may prefer one frame to another


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Frames that may become references. All fields have one entry a frame."""

    rows: NDArray[np.intp]
    cost: Float64  #: 0 = ideal pose, sharp, uncovered
    shape: Float64  #: (n, 80) lip contours
    gap: Float32
    width: Float32


def choose_references(
    track: FaceTrack,
    count: int,
    *,
    exclude: Collection[int] = (),
    seed: int = 0,
    pose: Float64 | None = None,
) -> list[int]:
    """Choose reference frames of one face.

    Args:
        track: the face in its shot.
        count: how many; a face that was seen on fewer frames repeats.
        exclude: plate frames that must not be taken, such as `around` a target frame.
        seed: 0 gives the best choice; another number gives another one, nearly as good.
        pose: (2,) yaw and pitch that the references shall have, radians; None = the shot's usual pose.

    Returns:
        Plate frames, ascending.

    Raises:
        InputError: no frame is left.
    """
    frames = np.arange(track.frames.start, track.frames.stop)
    usable = track.found & ~np.isin(frames, list(exclude))
    over = maximum_filter1d(np.asarray(track.quality["covered"]), 2 * _BESIDE + 1)
    if (clear := usable & (over <= CLEAR)).any():
        usable = clear
    rows = pick_references(
        track.landmarks,
        usable,
        count,
        cost=_flaws(track),
        seed=seed,
        pose=pose,
    )
    return [int(frames[row]) for row in rows]


def pick_references(
    landmarks: Float32,
    usable: NDArray[np.bool_],
    count: int,
    *,
    cost: NDArray[np.floating[Any]] | None = None,
    seed: int = 0,
    pose: Float64 | None = None,
) -> list[int]:
    """`choose_references` on bare arrays.

    Args:
        landmarks: of every frame.
        usable: frames that have a face and may be taken.
        count: how many.
        cost: what is wrong with each frame besides its pose; 1 is as bad as a head turned 15° away.
        seed, pose: see `choose_references`.

    Shape:
        landmarks: (T, 478, 3).
        usable, cost: (T,).

    Returns:
        Rows, ascending; repeated where there are fewer than `count`.

    Raises:
        InputError: no frame is usable.
    """
    rows = np.flatnonzero(usable)
    if rows.size == 0:
        msg = "no frame is left to take references from; exclude less or choose a longer range"
        raise InputError(msg)
    rows = rows[np.unique(np.linspace(0, rows.size - 1, min(rows.size, _MOST)).round().astype(np.intp))]
    flaws = np.zeros(len(rows)) if cost is None else np.asarray(cost, np.float64)[rows]
    if seed:
        flaws = flaws + np.random.default_rng(seed).uniform(0, _AGAIN, len(rows))
    candidates = _pool(_measure(landmarks[rows], rows, flaws, pose), count, _POOL if pose is None else _NEAR)
    chosen = _spread(candidates, min(count, len(candidates.rows)))
    picked = candidates.rows[chosen]
    return sorted(int(picked[k % len(picked)]) for k in range(count))


def group_poses(angles: Float64) -> tuple[Float64, NDArray[np.int32]]:
    """Sort the frames of one shot into groups of like pose, for references of their own.

    A group lasts: going to another one costs something, so that a head on the border between two does not flicker.
    A shot whose head keeps within about 6° of its usual pose is one group.

    Args:
        angles: yaw and pitch of every frame, radians.

    Shape:
        angles: (T, 2).
        returns: (K, 2) the groups' poses, the usual one first; (T,) group of every frame.

    Source:
        The path of least cost through the groups: Viterbi 1967.
    """
    if len(angles) == 0:
        return np.zeros((0, 2)), np.zeros(0, np.int32)
    some = angles[np.unique(np.linspace(0, len(angles) - 1, min(len(angles), _MOST)).round().astype(np.intp))]
    stands_for = len(angles) / len(some)
    poses = [np.median(some, axis=0)]
    while len(poses) < _MOST_GROUPS:
        far = some[np.min([np.linalg.norm(some - pose, axis=1) for pose in poses], axis=0) > _REACH_RAD]
        if len(far) == 0:
            break
        near = np.linalg.norm(far[:, None] - far, axis=2) <= _REACH_RAD / 2
        densest = int(near.sum(axis=1).argmax())
        if near[densest].sum() * stands_for < _LEAST:
            break
        poses.append(far[near[densest]].mean(axis=0))
    cost = np.stack([np.square((angles - pose) / _REACH_RAD).sum(axis=1) for pose in poses], axis=1)
    came = np.zeros(cost.shape, np.int32)
    total = cost[0].copy()
    for t in range(1, len(cost)):
        best = int(total.argmin())
        stay = total <= total[best] + _SWITCH
        came[t] = np.where(stay, np.arange(len(poses)), best)
        total = np.where(stay, total, total[best] + _SWITCH) + cost[t]
    path = np.empty(len(cost), np.int32)
    path[-1] = total.argmin()
    for t in range(len(cost) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    used, groups = np.unique(path, return_inverse=True)
    return np.stack(poses)[used], groups.astype(np.int32)


def parse_references(text: str, track: FaceTrack) -> list[int]:
    """Read the user's own choice, "12,40,77": plate frames on which the chosen face is seen.

    Raises:
        SettingsError: not a list of frames, or the face isn't there on one of them.
    """
    if not re.fullmatch(r"\s*\d+(\s*,\s*\d+)*\s*", text):
        msg = f'"{text}" is not a list of reference frames; give auto or plate frames such as 12,40,77'
        raise SettingsError(msg, "refs")
    frames = [int(part) for part in text.split(",")]
    for frame in frames:
        if track.row(frame) is None:
            seen = f"frames {track.frames.start} to {track.frames.stop - 1}"
            msg = f"reference frame {frame} does not show face {track.index}; choose among those that do ({seen})"
            raise SettingsError(msg, "refs")
    return frames


def around(frame: int, rate: float, least_s: float = 1.0) -> range:
    """Frames nearer to a target than `least_s`: what an honest reconstruction must not look at."""
    reach = int(np.ceil(least_s * rate))
    return range(max(frame - reach + 1, 0), frame + reach)


def _flaws(track: FaceTrack) -> Float64:
    """What is wrong with each frame of a track: blur, something over the mouth, a mouth at the picture's edge. (T,)."""
    quality, found = track.quality, track.found
    usual = max(float(np.median(quality["sharpness"][found])), 1e-6)
    blur = np.maximum(1 - quality["sharpness"] / usual, 0) * 4
    hidden = np.asarray(quality["covered"], np.float64)
    doubt = np.maximum(0.95 - quality["presence"], 0) * 4
    outside = (1 - quality["inside"]) * 10
    return np.asarray(blur + 4 * hidden + doubt + outside, np.float64)


def _measure(landmarks: Float32, rows: NDArray[np.intp], flaws: Float64, pose: Float64 | None) -> _Candidates:
    angles = fit_poses(landmarks).angles()
    turn = angles - np.median(angles, axis=0) if pose is None else angles[:, :2] - pose
    away = np.linalg.norm(turn, axis=1) / _POSE_RAD
    return _Candidates(
        rows=rows,
        cost=np.square(away) + flaws,
        shape=lip_shape(landmarks).reshape(len(rows), -1).astype(np.float64),
        gap=lip_aperture(landmarks),
        width=lip_width(landmarks),
    )


def _pool(candidates: _Candidates, count: int, share: float) -> _Candidates:
    """The better part of the candidates, at least this share of them."""
    good = int((candidates.cost <= _GOOD).sum())
    keep = min(len(candidates.rows), max(good, round(share * len(candidates.rows)), _MIN_POOL, 2 * count))
    best = np.sort(np.argsort(candidates.cost, kind="stable")[:keep])
    return _Candidates(*(getattr(candidates, name)[best] for name in _Candidates.__dataclass_fields__))


def _spread(candidates: _Candidates, count: int) -> list[int]:
    """Closed, open and broad mouth first, then the lip shape furthest from all chosen ones, cost considered."""
    gap, cost = candidates.gap, _COST_WEIGHT * candidates.cost
    parted = gap > np.percentile(gap, 40)
    firsts = (
        -np.abs(gap - np.percentile(gap, 3)),  # percentiles and not extremes: those are the tracker's mistakes
        -np.abs(gap - np.percentile(gap, 97)),
        np.where(parted, np.minimum(candidates.width, np.percentile(candidates.width, 97)), -1.0),
    )
    chosen: list[int] = []
    nearest = np.full(len(gap), np.inf)
    for step in range(count):
        score = firsts[step] if step < len(firsts) else np.minimum(nearest, 10.0)
        score = np.where(np.isin(np.arange(len(gap)), chosen), -np.inf, score - cost)
        best = int(np.argmax(score))
        chosen.append(best)
        distance = np.linalg.norm(candidates.shape - candidates.shape[best], axis=1) / np.sqrt(40)
        nearest = np.minimum(nearest, distance)
    return chosen
