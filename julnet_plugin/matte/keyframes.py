"""A parameter over time: one value, or keyframes with linear, held or smooth transitions."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from julnet_plugin.matte.jsonio import Reader

Interpolation = Literal["linear", "hold", "smooth"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One keyframe; `interpolation` says how the value travels from here to the next key."""

    frame: int
    value: float
    interpolation: Interpolation = "linear"


@dataclass(frozen=True, slots=True)
class Curve:
    """A number for every frame.

    Before the first key and after the last the nearest key holds. "smooth" eases in and out and never overshoots, so a
    value between two keys lies between their values.
    """

    value: float = 0.0  #: what every frame has when there are no keys
    keys: tuple[Key, ...] = ()  #: in order of frames, one a frame

    def __post_init__(self) -> None:
        frames = [key.frame for key in self.keys]
        if any(a >= b for a, b in pairwise(frames)):
            msg = f"keys must be in order, one a frame: {frames}"
            raise ValueError(msg)

    def at(self, frame: int) -> float:
        """The value on one frame."""
        if not self.keys:
            return self.value
        index = bisect_right([key.frame for key in self.keys], frame)
        if index == 0:
            return self.keys[0].value
        before = self.keys[index - 1]
        if index == len(self.keys) or before.interpolation == "hold":
            return before.value
        after = self.keys[index]
        x = (frame - before.frame) / (after.frame - before.frame)
        if before.interpolation == "smooth":
            x = x * x * (3 - 2 * x)
        return before.value * (1 - x) + after.value * x

    def with_key(self, key: Key) -> Curve:
        """The same curve with one more key, in place of any other on its frame."""
        keys = [k for k in self.keys if k.frame != key.frame] + [key]
        return Curve(self.value, tuple(sorted(keys, key=lambda k: k.frame)))

    def without_key(self, frame: int) -> Curve:
        """The same curve without the key on `frame`; the value of the last key removed stays."""
        kept = tuple(k for k in self.keys if k.frame != frame)
        return Curve(self.value if kept or not self.keys else self.keys[0].value, kept)

    def to_json(self) -> float | dict[str, Any]:
        """A plain number, or `{"keys": [{"frame", "value", "interpolation"}, …]}`."""
        if not self.keys:
            return self.value
        keys = [{"frame": k.frame, "value": k.value, "interpolation": k.interpolation} for k in self.keys]
        return {"value": self.value, "keys": keys}


def read_curve(reader: Reader, name: str, low: float, high: float, default: float) -> Curve:
    """Read a curve from a document: a number, or an object with keys, all values between `low` and `high`."""
    if not reader.is_object(name):
        return Curve(reader.number(name, low, high, default))
    inner = reader.section(name)
    keys = {}
    for item in inner.sections("keys"):
        frame = item.frame("frame")
        keys[frame] = Key(
            frame=frame,
            value=item.number("value", low, high),
            interpolation=item.choice("interpolation", INTERPOLATIONS, "linear"),
        )
    return Curve(inner.number("value", low, high, default), tuple(keys[f] for f in sorted(keys)))
