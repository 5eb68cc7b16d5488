"""What is known of the mouth of each shot's person: how it closes, and how it is held in speech."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.face.crop import fit_poses
from julnet_plugin.pipeline.dub import hear_samples, own_sound
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from julnet_plugin.face.tracks import FaceTrack
    from julnet_plugin.pipeline.dub import Dub
    from julnet_plugin.pipeline.inputs import Job

Float32 = NDArray[np.float32]
log = logging.getLogger(__name__)

_CLOSED_FROM = 2000  #: frames of a long shot that are enough to know its closed mouth
_LEAST_S = 1.0  #: a shorter shot, or a preview's few frames, tells nothing of how somebody speaks
_HEARD_S = 60.0  #: of a long shot, from its middle, that are enough to know how somebody speaks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speech:
    """What a plate says on frames of a shot that follow one another."""

    frames: FrameRange
    sound: Dub
    times_s: NDArray[np.float64]  #: when each frame is shown, on the sound's clock
    theirs: float  #: how surely the person who is seen says it, in [0, 1]
    lag: int  #: frames from the lips to the sound

    def windows(self, frames: NDArray[np.integer[Any]], steps: int) -> Float32:
        """The sound of the lips on some of the frames. (n, steps, D)."""
        rows = np.clip(frames + self.lag - self.frames.start, 0, len(self.times_s) - 1)
        return self.sound.windows(self.times_s[rows], steps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mouth:
    """A person's mouth in one shot.

    Shape:
        closed: (48, 3) in face units.
        spoken: (48, 3), the same as they hold it in speech; `closed` where nothing is known of how they speak.
    """

    closed: Float32
    spoken: Float32
    speech: Speech | None = None  #: None: the plate is silent, or the model does not tell lips from sound


def mouths_of(job: Job, tracks: Mapping[int, FaceTrack]) -> dict[int, Mouth]:
    """The mouth of each shot's person, and what they are heard to say.

    Args:
        job: what is rendered.
        tracks: the face of each shot, as far as it was followed.
    """
    mouths = {}
    for shot, track in tracks.items():
        closed = _closed_mouth(track)
        mouths[shot] = Mouth(closed=closed, spoken=closed)
    if job.engine.lip_basis is None or not job.info.audio:
        return mouths
    heard = {shot: frames for shot, track in sorted(tracks.items()) if (frames := _heard(track, float(job.info.rate)))}
    try:
        stretches = own_sound(job.info, (range(frames.start, frames.stop) for frames in heard.values()))
        for (shot, frames), (samples, times_s) in zip(heard.items(), stretches, strict=True):
            mouths[shot] = _listened(job, tracks[shot], frames, mouths[shot], samples, times_s)
    except MediaError as exc:  # what the plate says is a help, not a need
        log.info("how the person speaks is not known: %s", exc)
    return mouths


def lips_in_face(landmarks: NDArray[np.floating[Any]]) -> Float32:
    """The points of a lip shape in face units: (T, 478, 3) plate pixels to (T, 48, 3)."""
    from julnet_plugin.model.lips import SHAPE_POINTS  # late: torch, which who only looks does without

    return fit_poses(landmarks).to_face(landmarks[:, list(SHAPE_POINTS)])


def _closed_mouth(track: FaceTrack) -> Float32:
    from julnet_plugin.model.lips import closed_shape

    seen = np.flatnonzero(track.found)
    some = seen[np.unique(np.linspace(0, len(seen) - 1, min(len(seen), _CLOSED_FROM)).astype(int))]
    return closed_shape(lips_in_face(track.landmarks[some])).astype(np.float32)


def _heard(track: FaceTrack, rate_hz: float) -> FrameRange | None:
    """Plate frames of a track that are heard: all, the middle of a long one, none of a short one."""
    count = len(track.frames)
    heard = min(count, round(_HEARD_S * rate_hz))
    first = track.frames.start + (count - heard) // 2
    return FrameRange(start=first, stop=first + heard) if heard >= _LEAST_S * rate_hz else None


def _listened(
    job: Job, track: FaceTrack, frames: FrameRange, mouth: Mouth, samples: Float32, times_s: NDArray[np.float64]
) -> Mouth:
    """A mouth with what some frames and their sound show of how the person speaks."""
    from julnet_plugin.pipeline.habit import lip_habit

    rows = slice(frames.start - track.frames.start, frames.stop - track.frames.start)
    landmarks, seen = track.landmarks[rows], track.found[rows]
    sound = hear_samples(samples, job.extractor)
    heard = job.engine.hear_lips(sound.windows(times_s, job.engine.info.audio_window))
    basis = job.engine.lip_basis
    if heard is None or basis is None or not seen.any():
        return mouth
    lips = np.broadcast_to(mouth.closed, (len(seen), *mouth.closed.shape)).copy()
    lips[seen] = lips_in_face(landmarks[seen])
    habit = lip_habit(lips, mouth.closed, *heard, seen, basis, float(job.info.rate))
    moved = basis.decode(job.settings.mouth.habit * habit.shape[None])[0]
    return replace(
        mouth,
        spoken=np.asarray(mouth.closed + moved, np.float32),
        speech=Speech(frames=frames, sound=sound, times_s=times_s, theirs=habit.theirs, lag=habit.lag),
    )
