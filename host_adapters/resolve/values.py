"""What Resolve says as text and as numbers that need a second look, turned into values; and names of ours in it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from host_adapters.base import ClipRefused

#: Media pool folder of takes; name of the tracks for their sound, and for takes that fit into no selector.
BIN = "JULNet"

_NTSC = {Fraction(n * 1000, 1001) for n in (24, 30, 48, 60, 96, 120)}


def rate_of(text: Any, what: str) -> Fraction:
    """A frame rate as Resolve writes it: "25", "23.976", "29.97 DF", 24.0.

    Raises:
        ClipRefused: there is none.
    """
    number = re.match(r"\s*(\d+(?:\.\d+)?)", str(text))
    if number is None or float(number[1]) <= 0:
        raise ClipRefused(f"Resolve gives no frame rate for {what} ({text!r}): set it in the clip attributes")
    value = Fraction(number[1])
    return next((rate for rate in _NTSC if abs(rate - value) < Fraction(1, 200)), value)


def rate_text(rate: Fraction) -> str:
    """A frame rate as Resolve wants it: "25", "23.976"."""
    return str(rate) if rate.denominator == 1 else f"{float(rate):.3f}".rstrip("0")


def pattern_of(path: str) -> tuple[str, int]:
    """A path as Resolve writes it, "shot.[1001-1050].exr" for a sequence, and the number of its first file."""
    match = re.search(r"\[(\d+)-(\d+)\](?=\.[^.\[\]]+$)", path)
    if match is None:
        return path, 0
    return path[: match.start()] + "#" * len(match[1]) + path[match.end() :], int(match[1])


def whole(value: Any, fallback: int = 0) -> int:
    """A number that Resolve may give as text, as float, or not at all."""
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return fallback
