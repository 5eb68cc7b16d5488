from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from julnet_plugin.compose.grain import GrainMeter, grain_field, noise_levels

SIZE = (240, 320)


def smooth():
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / 240
    return np.stack([0.4 + 0.2 * x, 0.5 + 0.1 * y, 0.3 + 0.1 * x * y], -1).astype(np.float32)


def white(deviation, seed=0):
    return np.random.default_rng(seed).normal(0, deviation, (*SIZE, 1)).astype(np.float32)


def metered(*frames):
    meter = GrainMeter()
    for a, b in pairwise(frames):
        meter.add(a, b)
    return meter.levels()


@pytest.mark.parametrize("deviation", [0.004, 0.01, 0.03])
def test_noise_is_measured_between_frames(deviation):
    levels = metered(*(smooth() + white(deviation, seed) for seed in range(4)))
    assert levels[0, 0] == pytest.approx(deviation, rel=0.05)
    assert levels[0, 1:].max() < 1e-4, "grey noise has no colour"


def test_texture_that_stays_is_not_grain():
    """Pores, stubble and the frozen noise of a compressed clip: a calm face must not get a boiling mouth."""
    textured = smooth() + white(0.05)
    assert metered(textured, textured).max() == 0


def test_an_edge_that_moves_is_not_grain():
    frames = []
    for shift in range(4):
        picture = smooth() + white(0.01, shift)
        picture[:, 60 + 3 * shift :: 40] += 0.4
        frames.append(picture)
    assert metered(*frames)[0, 0] == pytest.approx(0.01, rel=0.15)


@pytest.mark.parametrize("half", [False, True])
def test_added_grain_measures_like_the_plates_whether_fine_or_coarse(half):
    frames = []
    for seed in range(4):
        noise = white(0.012, seed)
        if half:
            noise = cv2.resize(noise[::2, ::2], SIZE[::-1], interpolation=cv2.INTER_LINEAR)[..., None]
        frames.append(smooth() + noise)
    plate = metered(*frames)
    added = metered(*(smooth() + grain_field(plate, SIZE, seed=3, frame=f) for f in range(4)))
    np.testing.assert_allclose(added[:, 0], plate[:, 0], rtol=0.12)
    assert added[:, 1:].max() < 0.003


def test_frames_have_independent_grain_and_the_same_frame_the_same():
    levels = np.float32([[0.01] * 3, [0.005] * 3])
    a, again, b = (grain_field(levels, (128, 128), 1, frame).ravel() for frame in (4, 4, 5))
    np.testing.assert_array_equal(a, again)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.05


def test_a_still_picture_gets_no_grain():
    assert not grain_field(np.zeros((2, 3), np.float32), (50, 60), 1, 2).any()


def test_pairs_that_cannot_be_measured_are_left_out():
    meter = GrainMeter()
    meter.add(smooth(), smooth()[:100])
    meter.add(smooth()[:8], smooth()[:8])
    assert meter.levels() is None


def test_noise_levels_of_white_noise_halve_with_the_resolution():
    levels = noise_levels(smooth() + white(0.02))
    assert levels[1, 0] == pytest.approx(levels[0, 0] / 2, rel=0.06)
