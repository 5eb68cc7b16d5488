"""Whether the lips in a finished movie follow its new sound: for takes, and for any other system's output.

The face is tracked in the movie and in the plate it was made from; the opening of the lips is compared with the
loudness of the dub and of the plate's own sound.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.lips import lip_aperture
from julnet_plugin.interfaces import FaceTracker
from julnet_plugin.media.audio import read_audio
from julnet_plugin.types import MediaInfo
from trainer.evaluation.dubbing import LAG_S, OPEN_SHARE, openness
from trainer.evaluation.movies import largest_face, matching
from trainer.evaluation.reconstruction import ProgressFn
from trainer.metrics import best_correlation, correlation, speech_envelope

Float64 = NDArray[np.float64]


def follow_movie(
    movie: Path, plate: Path, dub: Path, tracker: FaceTracker, progress: ProgressFn | None = None
) -> dict[str, Any]:
    """Correlations of the lip opening of a dubbed movie.

    Args:
        movie: the plate with a new mouth, the same frames.
        plate: what it was made from.
        dub: the new sound, from the plate's first frame on; may be the movie itself.
        tracker: finds faces.
        progress: `progress("track", done, total)`.

    Raises:
        MediaError: a file cannot be read, or movie and plate are not of the same frames.
        NoFaceFoundError: no face in the plate or in the movie.
    """
    info = matching(movie, plate)
    drawn = lip_opening(movie, info, tracker, progress)
    before = lip_opening(plate, info, tracker, progress)
    new, old = envelope(dub, info), envelope(plate, info)
    reach = max(1, round(LAG_S * float(info.rate)))
    relative = openness(drawn, before)
    seen = np.isfinite(relative)
    return {
        "frames": int(seen.sum()),
        "drawn_with_dub_loudness": correlation(drawn, new),
        "drawn_with_plate_loudness": correlation(drawn, old),
        "dub_with_plate_loudness": correlation(new, old),
        "true_with_own_loudness": correlation(before, old),
        "drawn_with_plate_lips": correlation(drawn, before),
        "drawn_with_dub_loudness_at_best_lag": best_correlation(drawn, new, reach)[0],
        "drawn_with_plate_loudness_at_best_lag": best_correlation(drawn, old, reach)[0],
        "mean_opening": float(relative[seen].mean()) if seen.any() else float("nan"),
        "open_frames": float(np.mean(relative[seen] > OPEN_SHARE)) if seen.any() else float("nan"),
        "dub_is_silent": bool(np.max(new) <= 0),
    }


def lip_opening(movie: Path, info: MediaInfo, tracker: FaceTracker, progress: ProgressFn | None = None) -> Float64:
    """Opening of the main face's lips in every frame, in face units; NaN without a face: (T,)."""
    track, frames = largest_face(movie, info, tracker, progress)
    opening = np.full(info.frame_count, np.nan)
    landmarks, found = track.over(frames)
    rows = np.flatnonzero(found)
    opening[frames.start + rows] = lip_aperture(landmarks[rows])
    return opening


def envelope(sound: Path, info: MediaInfo) -> Float64:
    """Loudness of a file's sound at every frame of the movie; 0 without sound or after its end: (T,)."""
    from julnet_plugin.media.audio import audio_info

    if not audio_info(sound):
        return np.zeros(info.frame_count)
    samples, rate = read_audio(sound)
    times = np.array([info.time_of(k) for k in range(info.frame_count)])
    return speech_envelope(samples.mean(axis=1), rate, times)
