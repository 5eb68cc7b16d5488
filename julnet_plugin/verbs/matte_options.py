"""Options for what shapes the matte and for what it drives, as `julnet matte` and `julnet comp` take them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.keyframes import INTERPOLATIONS
from julnet_plugin.matte.settings import DRIVE_MODES, parse_level

if TYPE_CHECKING:
    import argparse

#: option, setting, help
_CURVES = (
    ("low", "matte.low_cv", "expected error at or below this is trusted: code values (6) or percent (2.5%%)"),
    ("high", "matte.high_cv", "expected error at or above this is white, in the same units"),
    ("gamma", "matte.gamma", "above 1 lifts the middle of the matte"),
    ("grow", "matte.grow_px", "plate pixels; below 0 shrinks"),
    ("refine", "matte.refine", "0 to 1: how much the matte hugs the edges of the picture"),
    ("blur", "matte.blur_px", "plate pixels, deviation of a Gaussian"),
    ("temporal", "matte.temporal_frames", "neighbours on each side to smooth over, along the face"),
)
_KEY = re.compile(r"(-?\d+):([^:,]+)(?::([a-z]+))?")
_PART = re.compile(r"(?:(\d+):(\d+)=)?([a-z_-]+)(?:@(\d+))?")


def add_matte_options(parser: argparse.ArgumentParser) -> None:
    """What shapes the matte; every value may be keyframed."""
    group = parser.add_argument_group("σ to matte", "a value, or keyframes: 10:6,40:12:smooth (FRAME:VALUE[:HOW],…)")
    for name, _, text in _CURVES:
        group.add_argument(f"--{name}", metavar="V", help=text)
    group.add_argument("--levels", choices=("manual", "auto"), help="auto takes low and high from each shot's own σ")


def add_drive_options(parser: argparse.ArgumentParser) -> None:
    """What the matte drives."""
    group = parser.add_argument_group("what the matte drives")
    group.add_argument(
        "--drive",
        action="append",
        metavar="[A:B=]MODE[@FRAME]",
        help=f"{', '.join(DRIVE_MODES)} for the take, or on frames A to B-1; @FRAME is the clean reference to hold; "
        "may be repeated, ranges take the place of earlier ones",
    )
    group.add_argument("--amount", metavar="V", help="how strongly, 0 to 1; may be keyframed")


def matte_settings_from(args: argparse.Namespace) -> dict[str, Any]:
    """Settings by dotted key, of the options that were given.

    Raises:
        SettingsError: an option cannot be read; one sentence says what it takes.
    """
    values: dict[str, Any] = {}
    for name, key, _ in _CURVES:
        text = getattr(args, name, None)
        if text is not None:
            values[key] = _curve(f"--{name}", text, percent=name in ("low", "high"))
    if getattr(args, "levels", None):
        values["matte.levels"] = args.levels
    if args.amount is not None:
        values["drive.amount"] = _curve("--amount", args.amount)
    return values | _drive(args.drive or [])


def _curve(option: str, text: str, *, percent: bool = False) -> Any:
    """A number, or an object with keys as settings hold it."""
    if ":" not in text:
        return _number(option, text, percent)
    keys = []
    for part in text.split(","):
        match = _KEY.fullmatch(part.strip())
        if match is None or (match[3] is not None and match[3] not in INTERPOLATIONS):
            raise SettingsError(
                f"{option} is {text!r}: give a value, or keyframes such as 10:6,40:12:smooth (FRAME:VALUE, then "
                f"{', '.join(INTERPOLATIONS)})",
                key=option,
            )
        key = {"frame": int(match[1]), "value": _number(option, match[2], percent)}
        keys.append({**key, "interpolation": match[3] or "linear"})
    return {"value": keys[0]["value"], "keys": keys}


def _number(option: str, text: str, percent: bool) -> float:
    if percent:
        return parse_level(text)
    try:
        return float(text)
    except ValueError as exc:
        raise SettingsError(f"{option} is {text!r}: give a number, or keyframes such as 10:0,40:1", key=option) from exc


def _drive(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    ranges: list[dict[str, Any]] = []
    for text in texts:
        match = _PART.fullmatch(text.strip())
        mode = "" if match is None else match[3].replace("-", "_")
        if match is None or mode not in DRIVE_MODES:
            raise SettingsError(
                f"--drive is {text!r}: give {', '.join(DRIVE_MODES)}, or a range of frames and one of them, such as "
                "31:44=hold_plate",
                key="drive.mode",
            )
        reference = {} if match[4] is None else {"reference_frame": int(match[4])}
        if match[1] is None:
            values |= {"drive.mode": mode} | {f"drive.{name}": frame for name, frame in reference.items()}
            continue
        start, stop = int(match[1]), int(match[2])
        if start >= stop:
            raise SettingsError(f"--drive {text!r} names no frame: give the first and the one after the last")
        ranges.append({"start": start, "stop": stop, "mode": mode} | reference)
    return values | ({"drive.ranges": ranges} if ranges else {})
