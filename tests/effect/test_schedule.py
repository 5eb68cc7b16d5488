"""Which frames get a new mouth, and how strongly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from julnet_plugin.config import FaceSettings
from julnet_plugin.pipeline import schedule
from julnet_plugin.types import FrameRange, MediaInfo


def plate(**changes: object) -> MediaInfo:
    values = {
        "path": Path("p.mov"),
        "kind": "movie",
        "width": 320,
        "height": 240,
        "rate": Fraction(25),
        "frame_count": 50,
    }
    return MediaInfo(**{**values, **changes})  # type: ignore[arg-type]


def test_a_frames_time_on_the_dub_counts_from_the_in_point_and_the_offset() -> None:
    times = schedule.dub_times(plate(), FrameRange(start=10, stop=13), dub_offset_s=0.5)
    assert times == pytest.approx([-0.5, -0.46, -0.42])


def test_drop_frame_rates_do_not_drift_over_two_minutes() -> None:
    info = plate(rate=Fraction(30000, 1001), frame_count=3600)
    times = schedule.dub_times(info, FrameRange(start=0, stop=3600), 0.0)
    assert times[3597] == pytest.approx(3597 * 1001 / 30000, abs=1e-9)


def test_a_variable_rate_plate_uses_its_own_time_stamps() -> None:
    info = plate(frame_count=4, frame_times_s=(0.0, 0.04, 0.11, 0.13))
    assert schedule.dub_times(info, FrameRange(start=1, stop=4), 0.0) == pytest.approx([0.0, 0.07, 0.09])


def test_frames_far_from_the_dub_pass_through_and_say_so() -> None:
    plan = schedule.make_schedule([""] * 100, np.arange(100) / 25 - 1.0, 1.0, (0,), 25.0)
    assert plan.reason[0] == plan.reason[99] == schedule.NO_DUB
    assert plan.weight[0] == plan.weight[99] == 0
    assert set(plan.reason[30:45]) == {""}


def test_the_mouth_rests_fully_covered_for_three_tenths_of_a_second_after_the_dub() -> None:
    times = np.arange(100) / 25
    plan = schedule.make_schedule([""] * 100, times, 1.0, (0,), 25.0)
    assert (plan.weight[(times >= 0) & (times <= 1.0 + schedule.REST_S - 0.04)] == 1).all()
    assert (np.diff(plan.weight[times > 1.0]) <= 0).all()
    assert plan.weight[times > 1.0 + schedule.REST_S + schedule.FADE_S + 0.001].max() == 0


def test_a_gap_inside_a_shot_fades_on_both_sides_and_a_cut_does_not() -> None:
    active = np.ones(40, bool)
    active[18:20] = False
    weight = schedule.fade(active, (0, 30), 4)
    assert weight[20:25] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert weight[13:18] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert (weight[30:] == 1).all()
    active[30:] = False
    assert (schedule.fade(active, (0, 30), 4)[25:30] == 1).all(), "a cut to a shot without a face is no reason to fade"


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 8), st.data())
def test_weight_is_zero_exactly_where_inactive_and_never_jumps_inside_a_shot(
    active: list[bool], frames: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(active) - 1))
    starts = (0,) if cut == 0 else (0, cut)
    weight = schedule.fade(np.array(active), starts, frames)
    assert ((weight > 0) == np.array(active)).all()
    steps = np.abs(np.diff(weight))
    if cut:
        steps[cut - 1] = 0
    assert steps.max(initial=0) <= 1 / (frames + 1) + 1e-6


def test_every_refusal_has_its_word_and_no_face_comes_first() -> None:
    found = np.array([True, True, True, True, True, False])
    in_frame = np.array([True, True, True, True, False, False])
    mouth = np.array([100.0, 100.0, 100.0, 20.0, 100.0, 10.0])
    yaw = np.radians([10.0, 0.0, -75.0, 0.0, 0.0, 0.0])
    hidden = np.array([False, True, True, False, True, True])
    assert schedule.refusals(found, in_frame, mouth, yaw, hidden, FaceSettings()) == [
        "",
        schedule.COVERED,
        schedule.PROFILE,
        schedule.TOO_SMALL,
        schedule.OUT_OF_FRAME,
        schedule.NO_FACE,
    ]


def test_a_mouth_is_in_frame_while_its_middle_is() -> None:
    region = np.tile(np.array([[100.0, 100.0], [200.0, 300.0]], np.float32), (3, 1, 1))
    affine = np.tile(np.array([[0.5, 0, 0], [0, 0.5, 0]]), (3, 1, 1))
    affine[1, 0, 2] = -74.0  # middle at x = 1
    affine[2, 0, 2] = -76.0  # middle at x = -1
    assert schedule.mouth_in_frame(affine, region, 320, 240).tolist() == [True, True, False]
