"""How a person holds their lips in speech, from what is heard and seen of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from julnet_plugin.model.lips import SHAPE_POINTS, LipBasis, inner_gap
from julnet_plugin.pipeline.habit import lip_habit

RATE = 25.0
CLOSED = np.zeros((len(SHAPE_POINTS), 3))
CLOSED[20:30, 1], CLOSED[30:40, 1] = 0.02, -0.02
HABIT = np.array([0.8, -0.5, 0.3], np.float32)


def make_basis() -> LipBasis:
    """Motions of which the first opens the mouth."""
    rng = np.random.default_rng(3)
    opening = np.zeros((len(SHAPE_POINTS), 3))
    opening[20:30, 1] = 1.0
    rows = np.stack([opening.ravel(), *rng.standard_normal((2, opening.size))])
    components = np.linalg.qr(rows.T)[0].T
    components *= np.sign(components @ opening.ravel())[:1]
    return LipBasis(components=components.astype(np.float32), spread=np.array([0.3, 0.1, 0.1], np.float32))


BASIS = make_basis()


def heard_lips(frames: int, seed: int = 0) -> NDArray[np.float32]:
    time = np.arange(frames)[:, None] / RATE
    phase = np.random.default_rng(seed).uniform(0, 6.28, 3)
    return np.asarray(1.0 + np.sin(2 * np.pi * np.array([1.7, 2.3, 3.1]) * time + phase), np.float32)


def shown_lips(codes: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(CLOSED + BASIS.decode(codes), np.float64)


def habit_of(
    codes: NDArray[np.float32], heard: NDArray[np.float32], **changes: NDArray[np.generic]
) -> NDArray[np.float32]:
    known = {"speech": np.ones(len(heard), np.float32), "seen": np.ones(len(heard), np.bool_), **changes}
    lips = shown_lips(codes)
    return lip_habit(lips, CLOSED, heard, known["speech"], known["seen"], BASIS, RATE).shape  # type: ignore[arg-type]


@given(st.integers(25, 2000))
def test_the_longer_somebody_is_heard_the_more_of_their_habit_is_believed(frames: int) -> None:
    heard = heard_lips(frames)
    found = habit_of(heard + HABIT, heard)
    seconds = frames / RATE
    assert found == pytest.approx(HABIT * seconds / (seconds + 2), abs=1e-3)


def test_what_somebody_else_says_tells_nothing() -> None:
    heard = heard_lips(500)
    listener = 0.02 * np.random.default_rng(8).standard_normal(heard.shape) + HABIT
    assert np.abs(habit_of(listener.astype(np.float32), heard)).max() < 0.02


def test_a_habit_of_hardly_opening_is_left_out_and_the_rest_of_it_is_not() -> None:
    heard = heard_lips(500)
    muffled = HABIT * [-1, 1, 1]
    found = habit_of((heard + muffled).astype(np.float32), heard)
    gap = inner_gap(CLOSED + BASIS.decode(np.stack([0 * found, found, muffled]) + heard[:1]))
    assert gap[2] < gap[0] - 0.03
    assert gap[1] == pytest.approx(gap[0], abs=0.005)
    away = (found - muffled * 20 / 22) * BASIS.spread
    assert np.linalg.norm(away) <= 1.01 * 0.8 * BASIS.spread[0] * 20 / 22, "no more is taken out than what closes"


def test_silence_tells_nothing() -> None:
    heard = heard_lips(200)
    assert not habit_of(heard + HABIT, heard, speech=np.zeros(200, np.float32)).any()
    half = np.arange(200) < 100
    quiet = np.where(half[:, None], heard + HABIT, 0).astype(np.float32)  # silent mouths are closed
    found = habit_of(quiet, np.where(half[:, None], heard, 0).astype(np.float32), speech=half.astype(np.float32))
    assert found == pytest.approx(HABIT * 4 / (4 + 2), abs=1e-3)


def test_frames_that_may_not_be_seen_are_not_looked_at() -> None:
    heard = heard_lips(200)
    seen = np.arange(200) < 120
    spoilt = heard + HABIT
    expected = habit_of(spoilt, heard, seen=seen)
    spoilt[120:] = 50.0
    assert np.array_equal(habit_of(spoilt, heard, seen=seen), expected)
    assert not habit_of(spoilt, heard, seen=np.zeros(200, np.bool_)).any()


@pytest.mark.parametrize("late", [-3, 3])
def test_sound_that_is_three_frames_late_or_early_is_still_theirs(late: int) -> None:
    heard = heard_lips(500)
    found = habit_of(np.roll(heard, late, axis=0) + HABIT, heard)
    assert found == pytest.approx(HABIT * 20 / 22, abs=0.05)
