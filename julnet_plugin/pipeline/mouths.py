"""What is known of the mouth of each shot's person: how it closes, and how it is held in speech."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.face.crop import fit_poses
from julnet_plugin.pipeline.dub import hear_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from julnet_plugin.face.tracks import FaceTrack
    from julnet_plugin.pipeline.inputs import Job

Float32 = NDArray[np.float32]
log = logging.getLogger(__name__)

_CLOSED_FROM = 2000  #: frames of a long shot that are enough to know its closed mouth
_AROUND_S = 0.5  #: of sound before and after the frames that are looked at
_LEAST_S = 1.0  #: a shorter shot, or a preview's few frames, tells nothing of how somebody speaks
_HEARD_S = 60.0  #: of a long shot, from its middle, that are enough to know how somebody speaks


def mouths_of(job: Job, tracks: Mapping[int, FaceTrack]) -> dict[int, tuple[Float32, Float32]]:
    """Each shot's closed mouth, and the same as its person holds it in speech, both (48, 3) in face units.

    The second is the first where nothing is known of how they speak: the plate is silent, somebody else is heard, or
    the model does not tell lips from sound.

    Args:
        job: what is rendered.
        tracks: the face of each shot, as far as it was followed.
    """
    closed = {shot: _closed_mouth(track) for shot, track in tracks.items()}
    return {shot: (closed[shot], _spoken_mouth(job, track, closed[shot])) for shot, track in tracks.items()}


def lips_in_face(landmarks: NDArray[np.floating[Any]]) -> Float32:
    """The points of a lip shape in face units: (T, 478, 3) plate pixels to (T, 48, 3)."""
    from julnet_plugin.model.lips import SHAPE_POINTS  # late: torch, which who only looks does without

    return fit_poses(landmarks).to_face(landmarks[:, list(SHAPE_POINTS)])


def _closed_mouth(track: FaceTrack) -> Float32:
    from julnet_plugin.model.lips import closed_shape

    seen = np.flatnonzero(track.found)
    some = seen[np.unique(np.linspace(0, len(seen) - 1, min(len(seen), _CLOSED_FROM)).astype(int))]
    return closed_shape(lips_in_face(track.landmarks[some])).astype(np.float32)


def _spoken_mouth(job: Job, track: FaceTrack, closed: Float32) -> Float32:
    """The closed mouth, moved by the habit that the plate's own sound and picture show."""
    from julnet_plugin.model.habit import lip_habit

    basis, share, rate = job.engine.lip_basis, job.settings.mouth.habit, float(job.info.rate)
    if basis is None or share == 0 or not job.info.audio or len(track.frames) < _LEAST_S * rate:
        return closed
    rows = slice(0, len(track.frames))
    if len(track.frames) > _HEARD_S * rate:
        first = (len(track.frames) - round(_HEARD_S * rate)) // 2
        rows = slice(first, first + round(_HEARD_S * rate))
    seen = track.found[rows]
    if not seen.any():
        return closed
    start = track.frames.start
    time_s = np.array([job.info.time_of(frame) for frame in range(start + rows.start, start + rows.stop)])
    first_s = max(float(time_s[0]) - _AROUND_S, 0.0)
    try:
        said = hear_part(job.info.path, 0, job.extractor, first_s, float(time_s[-1]) + _AROUND_S)
    except MediaError as exc:  # what the plate says is a help, not a need
        log.info("how the person speaks is not known: %s", exc)
        return closed
    heard = job.engine.hear_lips(said.windows(time_s - first_s, job.engine.info.audio_window))
    if heard is None:
        return closed
    lips = np.broadcast_to(closed, (len(seen), *closed.shape)).copy()
    lips[seen] = lips_in_face(track.landmarks[rows][seen])
    habit = lip_habit(lips, closed, *heard, seen, basis, rate)
    return np.asarray(closed + share * basis.decode(habit[None])[0], np.float32)
