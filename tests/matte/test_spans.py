from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from julnet_plugin.matte.spans import FrameStats, SpanSettings, find_spans

RATE = 25.0


def take(count=200, seed=0, **more):
    rng = np.random.default_rng(seed)
    return [
        FrameStats(
            frame=i,
            sigma_mean_cv=6 + rng.normal(0, 0.4),
            yaw_deg=0,
            pitch_deg=0,
            mouth_px=200,
            luma=0.4,
            sharpness=1,
            **more,
        )
        for i in range(count)
    ]


def worse(stats, start, stop, by, **more):
    return [replace(s, sigma_mean_cv=s.sigma_mean_cv + by, **more) if start <= s.frame < stop else s for s in stats]


def test_bad_stretches_are_found_and_ranked_by_excess_error():
    stats = worse(worse(take(), 30, 40, 5), 100, 130, 8)
    first, second = find_spans(stats, RATE)[:2]
    assert abs(first.start - 100) <= 2
    assert abs(first.stop - 130) <= 2
    assert abs(second.start - 30) <= 2
    assert first.expected_cv == pytest.approx(14, abs=1.5)
    assert 100 <= first.peak < 130


def test_an_even_good_take_has_next_to_nothing_to_review():
    good = [replace(s, sigma_mean_cv=2 + (s.sigma_mean_cv - 6) / 2) for s in take()]
    assert find_spans(good, RATE) == []


def test_a_take_that_is_bad_throughout_is_one_span():
    (span,) = find_spans([replace(s, sigma_mean_cv=30 + s.sigma_mean_cv) for s in take(60)], RATE)
    assert (span.start, span.stop) == (0, 60)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"occluded": 0.4}, "something is in front of the mouth"),
        ({"yaw_deg": 50}, "far to the side (50°)"),
        ({"mouth_outlier": 6}, "lips outside what the model was taught (6.0 deviations)"),
        ({"mouth_px": 40}, "small face (mouth 40 px wide)"),
        ({"luma": 0.05}, "low light (mean 5% of white)"),
        ({"sharpness": 0.3}, "motion blur or out of focus"),
        ({"reference_deg": 33}, "nearest 33° away"),
        ({}, "no single cause found"),
    ],
)
def test_reasons_say_what_was_different(change, says):
    (span, *_) = find_spans(worse(take(), 50, 80, 9, **change), RATE)
    assert any(says in reason for reason in span.reasons), span.reasons
    assert span.sentence().startswith("expect ±1")


def test_a_fast_turn_is_told_by_its_speed():
    stats = [
        replace(s, yaw_deg=4.0 * np.clip(s.frame - 60, 0, 8), sigma_mean_cv=s.sigma_mean_cv + 8 * (60 <= s.frame < 69))
        for s in take()
    ]
    (span, *_) = find_spans(stats, RATE)
    assert span.reasons[0] == "fast head turn (100° a second)"


def test_spans_do_not_cross_cuts_or_frames_without_a_face():
    stats, sharp = worse(take(), 90, 110, 9), SpanSettings(smooth_s=0, deviations=6)
    cut = [replace(s, shot=int(s.frame >= 100)) for s in stats]
    assert sorted((s.start, s.stop) for s in find_spans(cut, RATE, settings=sharp)) == [(90, 100), (100, 110)]
    gap = [replace(s, found=s.frame != 100, sigma_mean_cv=s.sigma_mean_cv * (s.frame != 100)) for s in stats]
    assert sorted((s.start, s.stop) for s in find_spans(gap, RATE, settings=sharp)) == [(90, 100), (101, 110)]


def test_short_pauses_are_bridged():
    stats = worse(worse(take(), 90, 100, 9), 103, 115, 9)
    settings = SpanSettings(smooth_s=0, deviations=6)
    assert [(s.start, s.stop) for s in find_spans(stats, RATE, settings=settings) if s.score > 20] == [(90, 115)]


def test_no_face_anywhere_and_no_frames_give_no_spans():
    assert find_spans([], RATE) == []
    assert find_spans([FrameStats(frame=i, found=False) for i in range(5)], RATE) == []


def test_no_more_spans_than_asked_for():
    stats = take(400)
    for start in range(20, 400, 40):
        stats = worse(stats, start, start + 10, 9)
    assert len(find_spans(stats, RATE, limit=3)) == 3


def test_stretches_in_which_something_is_in_front_of_the_mouth_come_first_with_their_reason():
    stats = worse(take(), 100, 130, 60)
    stats = [replace(s, found=False, hidden=True) if 20 <= s.frame < 30 else s for s in stats]
    first, second = find_spans(stats, RATE)[:2]
    assert (first.start, first.stop, first.expected_cv) == (20, 30, 0)
    assert first.reasons == ("something is in front of the mouth",)
    assert first.sentence() == "the plate stays: something is in front of the mouth"
    assert abs(second.start - 100) <= 2
    (whole,) = find_spans([replace(s, found=False, hidden=True) for s in take(50)], RATE)
    assert (whole.start, whole.stop) == (0, 50)
