"""One window of audio features for every picture frame, at the frame's own presentation time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_STEPS = 21
WINDOW_STEP_S = 0.02


def feature_windows(
    features: NDArray[np.float32],
    times_s: NDArray[np.float64],
    step_s: float,
    window: int = WINDOW_STEPS,
    outside: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Sample features around each frame time by linear interpolation.

    Any rate works, variable ones included, because only times count: the picture is never re-timed.

    Args:
        features: of the whole utterance; vector k describes the sound around (k + 0.5) * step_s.
        times_s: presentation time of each frame on the dub's own clock; may lie outside the dub.
        step_s: time between feature vectors.
        window: number of 20 ms steps, odd, centred on the frame time.
        outside: (D,) vector for steps before the dub or after it; None repeats the edge.

    Shape:
        features: (S, D).
        times_s: (T,).
        returns: (T, window, D) float32.
    """
    if features.shape[0] == 0:
        fill = outside if outside is not None else np.zeros(features.shape[1], np.float32)
        return np.broadcast_to(fill, (len(times_s), window, features.shape[1])).astype(np.float32)
    offsets = (np.arange(window) - window // 2) * WINDOW_STEP_S
    position = (np.asarray(times_s, np.float64)[:, None] + offsets) / step_s - 0.5
    clipped = np.clip(position, 0, features.shape[0] - 1)
    lower = np.floor(clipped).astype(np.int64)
    upper = np.minimum(lower + 1, features.shape[0] - 1)
    weight = (clipped - lower)[..., None].astype(np.float32)
    windows = features[lower] * (1 - weight) + features[upper] * weight
    if outside is not None:
        beyond = (position < -0.5) | (position > features.shape[0] - 0.5)
        windows[beyond] = outside
    return np.asarray(windows, np.float32)
