from __future__ import annotations

import numpy as np
import pytest

from julnet_plugin.compose.grain import added_grain, grain_field, grain_levels

ALL = np.ones((240, 320), bool)


def smooth():
    y, x = np.mgrid[0:240, 0:320] / 240
    return np.stack([0.4 + 0.2 * x, 0.5 + 0.1 * y, 0.3 + 0.1 * x * y], -1).astype(np.float32)


def white(deviation, seed=0):
    return np.random.default_rng(seed).normal(0, deviation, (240, 320, 1)).astype(np.float32)


@pytest.mark.parametrize("deviation", [0.004, 0.01, 0.03])
def test_luma_noise_is_measured(deviation):
    assert grain_levels(smooth() + white(deviation), ALL)[0, 0] == pytest.approx(deviation, rel=0.05)


def test_a_clean_picture_has_no_grain_and_ramps_are_not_grain():
    assert grain_levels(smooth(), ALL).max() < 1e-5


def test_edges_are_hardly_taken_for_grain():
    picture = smooth()
    picture[::24] += 0.3
    assert grain_levels(picture + white(0.01), ALL)[0, 0] == pytest.approx(0.01, rel=0.25)


@pytest.mark.parametrize("half", [False, True])
def test_added_grain_brings_a_clean_picture_to_the_plates_level(half):
    """Fine or coarse: measured after adding, the generated picture has the plate's noise at both resolutions."""
    import cv2

    noise = white(0.012)
    if half:
        noise = cv2.resize(noise[::2, ::2], (320, 240), interpolation=cv2.INTER_LINEAR)[..., None]
    plate = grain_levels(smooth() + noise, ALL)
    clean = smooth()
    levels = added_grain(plate, grain_levels(clean, ALL), 1.0)
    matched = grain_levels(clean + grain_field(levels, (240, 320), seed=3, frame=9), ALL)
    np.testing.assert_allclose(matched[:, 0], plate[:, 0], rtol=0.12)
    assert matched[:, 1:].max() < 0.003, "grey noise gets no colour"


def test_nothing_is_added_where_the_generated_picture_is_as_noisy():
    level = grain_levels(smooth() + white(0.01), ALL)
    assert not added_grain(level, level * 1.5, 1.0).any()


def test_half_the_amount_adds_a_quarter_of_the_variance():
    level, none = np.full((2, 3), 0.01, np.float32), np.zeros((2, 3), np.float32)
    np.testing.assert_allclose(added_grain(level, none, 0.5), added_grain(level, none, 1.0) / 2, rtol=1e-5)


def test_a_region_too_small_to_tell_has_no_grain():
    tiny = np.zeros((240, 320), bool)
    tiny[:4, :4] = True
    assert not grain_levels(smooth() + white(0.05), tiny).any()


def test_frames_have_independent_grain():
    levels = np.float32([[0.01] * 3, [0.0] * 3])
    a, b = (grain_field(levels, (128, 128), 1, frame).ravel() for frame in (4, 5))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05
