"""Timecode, frames and seconds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from julnet_plugin.errors import TimeRangeError
from julnet_plugin.media.timecode import Timecode, frame_range, parse_timecode, timecode_of
from julnet_plugin.types import FrameRange, MediaInfo

R23 = Fraction(24000, 1001)
R29 = Fraction(30000, 1001)
R59 = Fraction(60000, 1001)
COUNTINGS = [
    (Fraction(24), False),
    (Fraction(25), False),
    (Fraction(30), False),
    (Fraction(50), False),
    (Fraction(60), False),
    (R23, False),
    (R29, False),
    (R29, True),
    (R59, False),
    (R59, True),
]


def plate(rate: Fraction = Fraction(25), frames: int = 100, start: str | None = None, **more: object) -> MediaInfo:
    drop = start is not None and ";" in start
    return MediaInfo(
        path=Path("plate.mov"),
        kind="movie",
        width=64,
        height=48,
        rate=rate,
        frame_count=frames,
        start_timecode=start,
        drop_frame=drop,
        **more,  # type: ignore[arg-type]
    )


@given(st.sampled_from(COUNTINGS), st.integers(0, 2_000_000))
def test_a_label_and_its_frame_say_the_same(counting: tuple[Fraction, bool], frame: int) -> None:
    rate, drop = counting
    frame %= 24 * 3600 * 24  # within a day at every rate
    label = str(Timecode(frame=frame, rate=rate, drop_frame=drop))
    assert parse_timecode(label, rate).frame == frame


@pytest.mark.parametrize(
    ("frame", "label"),
    [
        (1799, "00:00:59;29"),
        (1800, "00:01:00;02"),
        (17981, "00:09:59;29"),
        (17982, "00:10:00;00"),
        (107892, "01:00:00;00"),
        (2589407, "23:59:59;29"),
    ],
)
def test_drop_frame_labels_follow_smpte(frame: int, label: str) -> None:
    # 107892 frames are an hour of 29.97: the figure of SMPTE ST 12-1.
    assert str(Timecode(frame=frame, rate=R29, drop_frame=True)) == label


def test_drop_frame_at_59_94_skips_four_labels_a_minute() -> None:
    assert str(Timecode(frame=3600, rate=R59, drop_frame=True)) == "00:01:00;04"


def test_drop_frame_needs_an_ntsc_rate() -> None:
    with pytest.raises(ValueError, match=r"29\.97 or 59\.94"):
        Timecode(frame=0, rate=Fraction(25), drop_frame=True)


@pytest.mark.parametrize("text", ["00:01:00;00", "00:01:00;01", "10:11:00;01"])
def test_a_label_that_drop_frame_skips_is_refused(text: str) -> None:
    with pytest.raises(TimeRangeError, match="does not exist"):
        parse_timecode(text, R29)


@pytest.mark.parametrize("text", ["25:00:00:00", "00:60:00:00", "00:00:60:00", "00:00:00:25", "1:2:3", "abc", ""])
def test_a_label_out_of_bounds_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(TimeRangeError, match="is not a timecode") as caught:
        parse_timecode(text, Fraction(25))
    assert "\n" not in str(caught.value)


def test_labels_wrap_at_midnight() -> None:
    assert str(Timecode(frame=24 * 3600 * 25 + 3, rate=Fraction(25))) == "00:00:00:03"


def test_without_points_the_range_is_the_whole_plate() -> None:
    assert frame_range(plate(), None, None) == FrameRange(start=0, stop=100)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        ("10", "20", (10, 20)),
        ("0.4s", "2s", (10, 50)),
        (".4 sec", "100", (10, 100)),
        ("10:00:00:10", "10:00:02:00", (10, 50)),
        ("10:00:00:10", "1.0s", (10, 25)),
    ],
)
def test_points_are_timecode_frames_or_seconds(start: str, stop: str, expected: tuple[int, int]) -> None:
    found = frame_range(plate(start="10:00:00:00"), start, stop)
    assert (found.start, found.stop) == expected


def test_timecode_points_count_from_zero_on_a_plate_without_timecode() -> None:
    assert frame_range(plate(), "00:00:01:00", None).start == 25


def test_a_drop_frame_plate_takes_points_typed_with_colons() -> None:
    info = plate(R29, frames=4000, start="01:00:00;00")
    assert frame_range(info, "01:01:00:02", None).start == 1800
    assert timecode_of(info, 1800) == "01:01:00;02"


def test_seconds_on_a_vfr_plate_find_the_frame_shown_then() -> None:
    info = plate(Fraction(25), frames=5, frame_times_s=(0.0, 0.033, 0.08, 0.2, 0.233))
    assert frame_range(info, "0.08s", "0.2s") == FrameRange(start=2, stop=3)


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("100", None),
        ("101", None),
        (None, "101"),
        ("5s", None),
        ("00:00:04:00", None),
        (None, "00:01:00:00"),
    ],
)
def test_points_outside_the_plate_are_refused_with_what_it_holds(start: str | None, stop: str | None) -> None:
    with pytest.raises(TimeRangeError, match=r"outside the plate, which holds frames 0 to 99, 4\.000 s"):
        frame_range(plate(), start, stop)


def test_a_timecode_before_the_plates_start_is_outside() -> None:
    with pytest.raises(TimeRangeError, match="outside the plate"):
        frame_range(plate(start="10:00:00:00"), "00:00:01:00", None)


def test_seconds_after_a_vfr_plate_are_outside() -> None:
    info = plate(Fraction(25), frames=3, frame_times_s=(0.0, 0.033, 0.08))
    with pytest.raises(TimeRangeError, match="outside the plate"):
        frame_range(info, None, "7s")


@pytest.mark.parametrize(("start", "stop"), [("10", "10"), ("20", "10"), ("1s", "1s")])
def test_an_empty_range_is_refused(start: str, stop: str) -> None:
    with pytest.raises(TimeRangeError, match="the range is empty") as caught:
        frame_range(plate(), start, stop)
    assert caught.value.requested == (start, stop)


@pytest.mark.parametrize("text", ["soon", "-5", "1.5", "1:2:3", "12f", ""])
def test_text_that_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(TimeRangeError, match=r'"01:00:01:05"'):
        frame_range(plate(), text, None)
