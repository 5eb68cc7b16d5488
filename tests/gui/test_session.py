"""What the editor shows is a value; changes of it are functions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from gui.session import (
    Compare,
    Session,
    Span,
    TakeView,
    at_frame,
    next_span,
    toggled,
    with_in_point,
    with_out_point,
    with_plate,
    with_take,
)
from julnet_plugin.types import FrameRange, MediaInfo

PLATE = MediaInfo(path=Path("p.mov"), kind="movie", width=64, height=48, rate=Fraction(25), frame_count=100)
SPANS = tuple(Span(start=s, stop=s + 5, peak=s + 2, sentence="") for s in (60, 20, 40))
TAKE = TakeView(
    folder=Path("t"), frames=FrameRange(start=10, stop=90), sigma=(0.1,) * 40 + (0.3,) + (0.0,) * 39, spans=SPANS,
    dub=PLATE, matte=None,
)  # fmt: skip
SESSION = with_plate(Session(), PLATE)


@pytest.mark.parametrize(("asked", "given"), [(-3, 0), (0, 0), (57, 57), (99, 99), (100, 99)])
def test_the_playhead_stays_in_the_plate(asked: int, given: int) -> None:
    assert at_frame(SESSION, asked).frame == given


def test_without_a_plate_there_is_only_frame_0() -> None:
    assert at_frame(Session(), 5).frame == 0


def test_a_take_is_shown_at_once_and_from_a_frame_that_it_holds() -> None:
    shown = with_take(at_frame(SESSION, 95), TAKE)
    assert (shown.frame, shown.compare, shown.take_frame) == (10, Compare.DUB, 0)
    assert with_take(at_frame(SESSION, 50), TAKE).frame == 50


def test_outside_the_take_there_is_no_take_frame() -> None:
    assert at_frame(with_take(SESSION, TAKE), 90).take_frame is None


def test_another_plate_leaves_the_take_and_the_marks_behind() -> None:
    other = with_plate(replace(with_in_point(with_take(SESSION, TAKE)), wipe=0.2), PLATE)
    assert (other.take, other.in_frame, other.wipe) == (None, None, 0.2)


def test_the_walk_over_the_worst_spans_goes_round_in_both_directions() -> None:
    at = with_take(SESSION, TAKE)
    peaks = []
    for _ in range(4):
        span = next_span(at, 1)
        assert span is not None
        at = at_frame(at, span.peak)
        peaks.append(span.peak)
    assert peaks == [62, 22, 42, 62]
    back = next_span(at, -1)
    assert back is not None
    assert back.peak == 42


def test_the_worst_frame_is_counted_from_the_plate_s_first() -> None:
    assert TAKE.worst_frame == 50
    assert replace(TAKE, sigma=(0.0,) * 80).worst_frame is None


def test_a_mark_that_would_turn_the_range_round_removes_the_other() -> None:
    marked = with_out_point(at_frame(with_in_point(at_frame(SESSION, 30)), 60))
    assert (marked.in_frame, marked.out_frame) == (30, 60)
    assert with_out_point(at_frame(marked, 10)).in_frame is None
    assert with_in_point(at_frame(marked, 70)).out_frame is None


def test_comparing_goes_there_and_back() -> None:
    dub = toggled(SESSION, Compare.DUB)
    assert [dub.compare, toggled(dub, Compare.DUB).compare] == [Compare.DUB, Compare.PLATE]
    wipe = toggled(dub, Compare.WIPE)
    assert [wipe.compare, toggled(wipe, Compare.WIPE).compare] == [Compare.WIPE, Compare.DUB]
