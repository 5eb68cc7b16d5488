"""Which frames get a new mouth, how strongly, and why the others keep their own.

Everything here is one number or one word a frame, decided before the first frame is rendered, so that a resumed render
decides the same.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.matte.spans import IN_FRONT

if TYPE_CHECKING:
    from julnet_plugin.config import FaceSettings
    from julnet_plugin.types import FrameRange, MediaInfo

REST_S = 0.3  #: the mouth rests closed for this long on both sides of the dub
FADE_S = 0.2  #: the plate comes back over this time: 5 frames at 25 fps

NO_FACE = "no face"
OUT_OF_FRAME = "mouth out of frame"
TOO_SMALL = "mouth too small"
PROFILE = "face turned away"
COVERED = IN_FRONT
NO_DUB = "no dub here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What happens to every frame of the range.

    Shape:
        time_s: (T,) the frame's presentation time on the dub's clock; 0 = first sample of the dub.
        weight: (T,) float32 in [0, 1], factor on coverage; 0 = the frame passes through.
        reason: T strings, "" where the frame is re-dubbed, else why it isn't.
    """

    time_s: NDArray[np.float64]
    weight: NDArray[np.float32]
    reason: tuple[str, ...]

    @property
    def active(self) -> NDArray[np.bool_]:
        """(T,) frames that need the model."""
        return np.asarray(self.weight > 0)


def dub_times(info: MediaInfo, frames: FrameRange, dub_offset_s: float) -> NDArray[np.float64]:
    """Each frame's own presentation time, counted from the dub's first sample; negative before the dub begins. (T,)."""
    start = info.time_of(frames.start)
    times = [info.time_of(index) - start for index in range(frames.start, frames.stop)]
    return np.asarray(times, np.float64) - dub_offset_s


def mouth_in_frame(
    plate_from_crop: NDArray[np.float64], region: NDArray[np.float32], width: int, height: int
) -> NDArray[np.bool_]:
    """Whether the middle of the region that would change lies inside the picture. (T,) bool.

    A chin that is cut by the lower edge is still re-dubbed; a mouth that has left the picture isn't.

    Shape:
        plate_from_crop: (T, 2, 3).
        region: (T, P, 2) canonical crop pixels.
    """
    low, high = region.min(axis=1), region.max(axis=1)
    centre = (low + high).astype(np.float64) / 2
    plate = np.einsum("tij,tj->ti", plate_from_crop[:, :, :2], centre) + plate_from_crop[:, :, 2]
    return np.asarray((plate[:, 0] >= 0) & (plate[:, 1] >= 0) & (plate[:, 0] < width) & (plate[:, 1] < height))


def refusals(
    found: NDArray[np.bool_],
    in_frame: NDArray[np.bool_],
    mouth_px: NDArray[np.float64],
    yaw_rad: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    limits: FaceSettings,
) -> list[str]:
    """Why each frame's face cannot be re-dubbed; "" where it can. All arrays are (T,)."""
    reasons = np.full(len(found), "", dtype=object)
    reasons[hidden] = COVERED
    reasons[np.abs(yaw_rad) > np.radians(limits.max_yaw_deg)] = PROFILE
    reasons[mouth_px < limits.min_mouth_px] = TOO_SMALL
    reasons[~in_frame] = OUT_OF_FRAME
    reasons[~found] = NO_FACE
    return [str(reason) for reason in reasons]


def make_schedule(
    reasons: list[str],
    time_s: NDArray[np.float64],
    dub_duration_s: float,
    shot_starts: tuple[int, ...],
    rate: float,
) -> Schedule:
    """Decide each frame's weight: 1 under the dub, fading to 0 towards gaps, except across a hard cut.

    Args:
        reasons: "" or why the face cannot be used, one a frame.
        time_s: see `dub_times`.
        dub_duration_s: length of the dub.
        shot_starts: index in the range of every shot's first frame, 0 included.
        rate: frames per second.
    """
    reach = REST_S + FADE_S
    spoken = (time_s > -reach) & (time_s < dub_duration_s + reach)
    final = [reason or ("" if near else NO_DUB) for reason, near in zip(reasons, spoken, strict=True)]
    active = np.array([not reason for reason in final], bool)
    weight = fade(active, shot_starts, max(round(FADE_S * rate), 1))
    return Schedule(time_s=time_s, weight=weight, reason=tuple(final))


def fade(active: NDArray[np.bool_], shot_starts: tuple[int, ...], frames: int) -> NDArray[np.float32]:
    """Ramp the weight of active frames up from the nearest inactive frame of the same shot. (T,) float32.

    The first active frame beside a gap has weight 1 / (frames + 1), and so on; a shot's edges are no gaps.
    """
    weight = np.zeros(len(active), np.float32)
    bounds = [*shot_starts, len(active)]
    for start, stop in itertools.pairwise(bounds):
        shot = active[start:stop]
        gaps = np.flatnonzero(~shot)
        if gaps.size == 0:
            weight[start:stop] = 1.0
            continue
        distance = np.abs(np.arange(len(shot))[:, None] - _nearest(gaps, len(shot))).min(axis=1)
        weight[start:stop] = np.minimum(distance / (frames + 1), 1.0)
    return weight


def _nearest(gaps: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """The gap before and the gap after each of `length` positions. (length, 2)."""
    right = np.searchsorted(gaps, np.arange(length))
    return np.stack([gaps[np.clip(right - 1, 0, None)], gaps[np.clip(right, None, gaps.size - 1)]], axis=1)
