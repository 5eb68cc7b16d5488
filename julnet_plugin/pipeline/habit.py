"""How a person holds their lips while they speak, measured where their own speech is seen and heard.

The audio branch hears what anybody's lips would do. People differ from that in a way that they keep up through all
they say (phoneticians call it their articulatory setting): one speaks with lips pushed forward, another wide. The
mean difference between the shown and the heard lip shape of the plate's own speech is that habit, and a new line is
spoken with it; but for what of it would bring the lips together, so that everything that is heard is also seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.speaker import best_correlation
from julnet_plugin.model.lips import GAP_LOWER, GAP_UPPER, LipBasis, inner_gap

Float32 = NDArray[np.float32]

_PRIOR_S = 2.0  #: speech after which half of what was measured is believed
_STRANGER, _SPEAKER = 0.25, 0.5  #: correlation of heard and shown openings up to which nothing, from which all counts


class Habit(NamedTuple):
    """What a person's own speech shows of them."""

    shape: Float32  #: (K,) to add to a lip shape; zeros where nothing is known
    theirs: float  #: how surely they are the one who is heard, in [0, 1]
    lag: int  #: frames from their lips to the sound


def lip_habit(
    lips: NDArray[np.floating[Any]],
    closed: NDArray[np.floating[Any]],
    heard: Float32,
    speech: Float32,
    seen: NDArray[np.bool_],
    basis: LipBasis,
    rate_hz: float,
) -> Habit:
    """The habit of one person, drawn to none where little speech, or not theirs, was heard.

    Args:
        lips: of frames that follow one another, in face units.
        closed: the person's closed mouth.
        heard: lip shapes that the sound asks for (`Generator.hear_lips`).
        speech: how much of each frame is speech, in [0, 1].
        seen: frames that may be looked at.
        basis: of lip shapes.
        rate_hz: frames a second.

    Shape:
        lips: (T, 48, 3).
        closed: (48, 3).
        heard: (T, K).
        speech, seen: (T,).
    """
    weight = np.where(seen, speech, 0).astype(np.float64)
    frames = float(weight.sum())
    if frames < 1:
        return Habit(np.zeros(heard.shape[1], np.float32), 0.0, 0)
    away = np.where(seen[:, None], basis.encode(lips, closed) - heard, 0)
    mean = weight @ away / frames
    length_s = frames / rate_hz
    shown, asked = inner_gap(lips), inner_gap(closed + basis.decode(heard))
    rows = np.flatnonzero(seen)
    agreement, lag = best_correlation(shown[rows], asked, rows, rate_hz)
    theirs = float(np.clip((agreement - _STRANGER) / (_SPEAKER - _STRANGER), 0, 1))
    habit = mean * theirs * length_s / (length_s + _PRIOR_S)
    return Habit(np.asarray(_not_mumbling(habit, basis), np.float32), theirs, lag)


def _not_mumbling(habit: NDArray[np.float64], basis: LipBasis) -> NDArray[np.float64]:
    """The habit without what of it brings the lips together: small openings would vanish, and with them the speech."""
    moved = basis.decode(np.eye(len(basis.spread), dtype=np.float32))[..., 1].astype(np.float64)
    opens = (moved[:, list(GAP_LOWER)].mean(axis=1) - moved[:, list(GAP_UPPER)].mean(axis=1)) / basis.spread
    motion = habit * basis.spread
    closing = min(float(opens @ motion), 0.0) / max(float(opens @ opens), 1e-12)
    return np.asarray((motion - closing * opens) / basis.spread, np.float64)
