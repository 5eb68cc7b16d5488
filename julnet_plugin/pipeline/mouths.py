"""What is known of the mouth of each shot's person: how it closes, and how it is held in speech."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.face.crop import fit_poses
from julnet_plugin.pipeline.dub import hear_samples, own_sound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from julnet_plugin.face.tracks import FaceTrack
    from julnet_plugin.pipeline.inputs import Job

Float32 = NDArray[np.float32]
log = logging.getLogger(__name__)

_CLOSED_FROM = 2000  #: frames of a long shot that are enough to know its closed mouth
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
    spoken = dict(closed)
    if job.engine.lip_basis is not None and job.info.audio and job.settings.mouth.habit > 0:
        rows = {shot: _heard_rows(track, float(job.info.rate)) for shot, track in sorted(tracks.items())}
        frames = {
            s: range(tracks[s].frames.start + r.start, tracks[s].frames.start + r.stop) for s, r in rows.items() if r
        }
        try:
            for shot, (samples, times_s) in zip(frames, own_sound(job.info, frames.values()), strict=True):
                spoken[shot] = _spoken_mouth(job, tracks[shot], rows[shot], closed[shot], samples, times_s)
        except MediaError as exc:  # what the plate says is a help, not a need
            log.info("how the person speaks is not known: %s", exc)
    return {shot: (closed[shot], spoken[shot]) for shot in tracks}


def lips_in_face(landmarks: NDArray[np.floating[Any]]) -> Float32:
    """The points of a lip shape in face units: (T, 478, 3) plate pixels to (T, 48, 3)."""
    from julnet_plugin.model.lips import SHAPE_POINTS  # late: torch, which who only looks does without

    return fit_poses(landmarks).to_face(landmarks[:, list(SHAPE_POINTS)])


def _closed_mouth(track: FaceTrack) -> Float32:
    from julnet_plugin.model.lips import closed_shape

    seen = np.flatnonzero(track.found)
    some = seen[np.unique(np.linspace(0, len(seen) - 1, min(len(seen), _CLOSED_FROM)).astype(int))]
    return closed_shape(lips_in_face(track.landmarks[some])).astype(np.float32)


def _heard_rows(track: FaceTrack, rate_hz: float) -> range:
    """Rows of a track that are heard: all, the middle of a long one, none of a short one."""
    count = len(track.frames)
    heard = min(count, round(_HEARD_S * rate_hz))
    first = (count - heard) // 2
    return range(first, first + heard) if heard >= _LEAST_S * rate_hz else range(0)


def _spoken_mouth(
    job: Job, track: FaceTrack, rows: range, closed: Float32, samples: Float32, times_s: NDArray[np.float64]
) -> Float32:
    """The closed mouth, moved by the habit that some rows and their sound show."""
    from julnet_plugin.pipeline.habit import lip_habit

    landmarks, seen = track.landmarks[rows.start : rows.stop], track.found[rows.start : rows.stop]
    windows = hear_samples(samples, job.extractor).windows(times_s, job.engine.info.audio_window)
    heard, basis = job.engine.hear_lips(windows), job.engine.lip_basis
    if heard is None or basis is None or not seen.any():
        return closed
    lips = np.broadcast_to(closed, (len(seen), *closed.shape)).copy()
    lips[seen] = lips_in_face(landmarks[seen])
    habit = lip_habit(lips, closed, *heard, seen, basis, float(job.info.rate))
    return np.asarray(closed + job.settings.mouth.habit * basis.decode(habit[None])[0], np.float32)
