from __future__ import annotations

import numpy as np
import pytest

from julnet_plugin.matte.drive import driven_coverage, driven_image
from julnet_plugin.matte.settings import DriveState

MATTE = np.float32([[0.0, 0.5, 1.0]])
COVERAGE = np.float32([[1.0, 1.0, 0.7]])
IMAGE = np.full((1, 3, 3), 0.2, np.float32)
CLEAN = np.full((1, 3, 3), 0.6, np.float32)


def state(mode, amount=1.0):
    return DriveState(mode=mode, amount=amount)


def test_flag_changes_nothing():
    np.testing.assert_array_equal(driven_coverage(state("flag"), COVERAGE, MATTE), COVERAGE)
    np.testing.assert_array_equal(driven_image(state("flag"), IMAGE, MATTE, CLEAN), IMAGE)


def test_hold_plate_takes_generated_pixels_back_exactly_where_the_matte_is_white():
    result = driven_coverage(state("hold_plate"), COVERAGE, MATTE)
    np.testing.assert_array_equal(result, np.float32([[1.0, 0.5, 0.0]]))
    np.testing.assert_array_equal(driven_image(state("hold_plate"), IMAGE, MATTE, CLEAN), IMAGE)


def test_the_amount_scales_the_drive():
    np.testing.assert_allclose(driven_coverage(state("hold_plate", 0.5), COVERAGE, MATTE), [[1.0, 0.75, 0.35]])


def test_hold_reference_blends_the_clean_picture_in_and_keeps_the_coverage():
    np.testing.assert_allclose(driven_image(state("hold_reference"), IMAGE, MATTE, CLEAN)[0, :, 0], [0.2, 0.4, 0.6])
    np.testing.assert_array_equal(driven_coverage(state("hold_reference"), COVERAGE, MATTE), COVERAGE)


def test_hold_reference_without_a_reference_changes_nothing():
    np.testing.assert_array_equal(driven_image(state("hold_reference"), IMAGE, MATTE, None), IMAGE)


def test_a_range_may_have_an_amount_of_its_own_over_time():
    from julnet_plugin.matte.jsonio import Reader
    from julnet_plugin.matte.settings import read_drive

    values = {
        "mode": "flag",
        "amount": 0.5,
        "ranges": [
            {"start": 10, "stop": 20, "mode": "hold_plate"},
            {"start": 20, "stop": 30, "mode": "hold_plate",
             "amount": {"keys": [{"frame": 20, "value": 0.0}, {"frame": 30, "value": 1.0}]}},
        ],
    }  # fmt: skip
    drive = read_drive(Reader(values, "drive"))
    assert [drive.at(frame).amount for frame in (5, 15, 20, 25)] == pytest.approx([0.5, 0.5, 0.0, 0.5])
    assert read_drive(Reader(drive.to_json(), "drive")) == drive
