"""The options of `julnet matte` and `julnet comp`, as settings."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from julnet_plugin.config import load_settings
from julnet_plugin.errors import SettingsError
from julnet_plugin.verbs.matte_options import add_drive_options, add_matte_options, matte_settings_from


def settings(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_matte_options(parser)
    add_drive_options(parser)
    values = matte_settings_from(parser.parse_args(words))
    load_settings(values)  # every one of them is a setting
    return values


def test_nothing_given_changes_nothing() -> None:
    assert settings() == {}


def test_values_percent_and_keyframes() -> None:
    given = settings("--low", "10%", "--high", "30", "--gamma", "1.5", "--grow=-2", "--blur", "10:0,20:4:hold")
    assert given["matte.low_cv"] == pytest.approx(25.5)
    assert given["matte.high_cv"] == 30
    assert given["matte.grow_px"] == -2
    curve = load_settings(given).matte.curve("blur_px")
    assert [curve.at(frame) for frame in (0, 15, 30)] == [0, 2, 4]
    assert curve.keys[1].interpolation == "hold"


def test_the_drive_of_the_take_and_of_ranges() -> None:
    given = settings("--drive", "hold-plate", "--drive", "31:44=hold_reference@12", "--amount", "0:0,10:1")
    drive = load_settings(given).drive
    assert [drive.at(frame).mode for frame in (30, 31, 43, 44)] == [
        "hold_plate", "hold_reference", "hold_reference", "hold_plate"
    ]  # fmt: skip
    assert drive.at(35).reference_frame == 12
    assert drive.at(5).amount == pytest.approx(0.5)
    assert load_settings(settings("--drive", "hold_reference@7")).drive.at(0).reference_frame == 7


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--low", "six"), "code values such as 6"),
        (("--blur", "10:x"), "--blur is 'x'"),
        (("--blur", "10:1:bouncy"), "linear, hold, smooth"),
        (("--drive", "hold_hands"), "hold_plate"),
        (("--drive", "9:9=flag"), "names no frame"),
        (("--amount", "lots"), "--amount is 'lots'"),
        (("--gamma", "500"), "gamma"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        settings(*words)
    assert "\n" not in str(refused.value)
