"""Settings are read strictly, and a refusal names the nearest key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from julnet_plugin.config import (
    Settings,
    flattened,
    known_keys,
    load_settings,
    parse_override,
    read_toml,
    to_mapping,
)
from julnet_plugin.errors import SettingsError


def test_defaults_are_what_no_settings_give() -> None:
    assert load_settings() == load_settings({}) == Settings()


def test_nested_sections_and_dotted_keys_are_the_same() -> None:
    nested = load_settings({"render": {"batch": 4}, "matte": {"gamma": 2.0}})
    assert nested == load_settings({"render.batch": 4, "matte.gamma": 2.0})
    assert nested.render.batch == 4
    assert nested.matte.curve("gamma").at(0) == 2.0


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[render]\nbatch = 2\nchunk_frames = 10\n")
    settings = load_settings({"render.batch": 4}, file)
    assert (settings.render.batch, settings.render.chunk_frames) == (4, 10)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("render.bach", "render.batch"),
        ("rendr.batch", "render.batch"),
        ("batch", "render.batch"),
        ("render.chunk", "render.chunk_frames"),
        ("matte.gama", "matte.gamma"),
        ("matte.blur", "matte.blur_px"),
        ("mate.blur_px", "matte.blur_px"),
        ("drive.mod", "drive.mode"),
        ("face.traker", "face.tracker"),
        ("compose.color_match", "compose.colour_match"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(key: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting {key}; did you mean {nearest}?") as caught:
        load_settings({key: 1})
    assert caught.value.key == key
    with pytest.raises(SettingsError, match=nearest):
        parse_override(f"{key}=1")


def test_a_key_like_no_other_is_refused_with_the_sections() -> None:
    with pytest.raises(SettingsError, match="the sections are face, mouth, compose"):
        load_settings({"qqqq": 1})


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("render.batch", "4", "a whole number"),
        ("render.batch", 4.0, "a whole number"),
        ("render.batch", True, "a whole number"),
        ("render.batch", 0, "between 1 and"),
        ("compose.grain", True, "a number"),
        ("compose.grain", float("nan"), "a number"),
        ("compose.grain", 1.5, "between 0 and 1"),
        ("compose.st_map", 1, "true or false"),
        ("face.tracker", 3, "text"),
        ("matte.gamma", "much", "a number"),
        ("drive.mode", "hold", "one of flag, hold_plate, hold_reference"),
        ("render", 4, "it is a section"),
    ],
)
def test_an_impossible_value_is_refused_with_what_is_needed(key: str, value: object, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load_settings({key: value})


def test_a_whole_number_will_do_for_a_fraction() -> None:
    assert load_settings({"compose.grain": 0}).compose.grain == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("render.batch=4", ("render.batch", 4)),
        (" compose.grain = 0.5 ", ("compose.grain", 0.5)),
        ("compose.st_map=false", ("compose.st_map", False)),
        ("drive.mode=hold_plate", ("drive.mode", "hold_plate")),
        ("face.tracker=3", ("face.tracker", "3")),
        ("face.tracker='my mesh'", ("face.tracker", "my mesh")),
        ("matte.gamma={keys=[{frame=3, value=2}]}", ("matte.gamma", {"keys": [{"frame": 3, "value": 2}]})),
    ],
)
def test_set_takes_toml_or_plain_text(text: str, expected: tuple[str, Any]) -> None:
    key, value = parse_override(text)
    assert (key, value) == expected
    load_settings({key: value})


@pytest.mark.parametrize("text", ["render.batch", "=4", ""])
def test_set_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="key=value"):
        parse_override(text)


def test_a_plugin_s_matte_operator_has_settings_of_its_own() -> None:
    table = load_settings({"matte": {"weave": {"density": 0.5}}})
    assert table == load_settings({"matte.weave.density": 0.5})
    assert table.matte.curve("weave.density").at(7) == 0.5
    assert parse_override("matte.weave.density=0.5") == ("matte.weave.density", 0.5)


def test_keyframes_come_through_whole() -> None:
    settings = load_settings({"matte": {"gamma": {"keys": [{"frame": 0, "value": 1}, {"frame": 10, "value": 2}]}}})
    assert settings.matte.curve("gamma").at(5) == pytest.approx(1.5)


def test_what_a_take_records_gives_the_same_settings_again() -> None:
    settings = load_settings(
        {
            "render.batch": 3,
            "matte.gamma": {"value": 1, "keys": [{"frame": 3, "value": 2}]},
            "matte.weave.density": 2,
            "matte.levels": "auto",
            "drive.mode": "hold_reference",
            "drive.reference_frame": 12,
        }
    )
    assert load_settings(to_mapping(settings)) == settings
    assert load_settings(to_mapping(Settings())) == Settings()


def test_every_recorded_key_is_a_known_one() -> None:
    assert set(flattened(to_mapping(Settings()))) <= set(known_keys())
    assert {f.name for f in fields(Settings)} == {key.partition(".")[0] for key in known_keys()}


@pytest.mark.parametrize("text", [b"[render\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused_with_its_name(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(text)
    with pytest.raises(SettingsError, match=r"broken\.toml is not TOML"):
        read_toml(file)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read"):
        load_settings(file=tmp_path / "none.toml")


def test_every_setting_is_used_somewhere() -> None:
    package = Path(__file__).parents[2] / "julnet_plugin"
    source = "\n".join(f.read_text("utf-8") for f in package.rglob("*.py") if f.name != "config.py")
    sections = [key.split(".") for key in known_keys() if key.split(".")[0] in ("face", "compose", "render")]
    unused = [f"{section}.{name}" for section, name in sections if f".{name}" not in source]
    assert not unused
