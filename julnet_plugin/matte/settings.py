"""What turns σ into the matte: parameters over time, in units a person understands, and what the matte drives."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from julnet_plugin.errors import SettingsError
from julnet_plugin.matte.jsonio import Reader
from julnet_plugin.matte.keyframes import Curve, Key, read_curve
from julnet_plugin.types import FrameRange

CODE_VALUES = 255.0  #: one display value is this many 8-bit code values


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of the matte chain."""

    name: str
    default: float
    low: float
    high: float
    unit: str
    help: str


PARAMETERS: dict[str, Parameter] = {
    p.name: p
    for p in (
        Parameter(
            name="low_cv",
            default=8.0,
            low=0.0,
            high=255.0,
            unit="code values of 255",
            help="expected error at or below this is trusted: matte 0",
        ),
        Parameter(
            name="high_cv",
            default=32.0,
            low=0.0,
            high=255.0,
            unit="code values of 255",
            help="expected error at or above this wants a look: matte 1",
        ),
        Parameter(
            name="gamma", default=1.0, low=0.05, high=20.0, unit="", help="above 1 lifts the middle of the matte"
        ),
        Parameter(
            name="grow_px",
            default=0.0,
            low=-200.0,
            high=200.0,
            unit="plate pixels",
            help="grow what is marked; below 0 shrink it",
        ),
        Parameter(
            name="refine", default=0.0, low=0.0, high=1.0, unit="share", help="how much the matte hugs lips and teeth"
        ),
        Parameter(
            name="refine_px",
            default=12.0,
            low=1.0,
            high=200.0,
            unit="plate pixels",
            help="how far an edge of the picture pulls the matte",
        ),
        Parameter(
            name="blur_px",
            default=3.0,
            low=0.0,
            high=200.0,
            unit="plate pixels",
            help="Gaussian deviation of the softening",
        ),
        Parameter(
            name="temporal_frames",
            default=1.0,
            low=0.0,
            high=25.0,
            unit="frames",
            help="neighbours on each side that take part in smoothing over time",
        ),
    )
}

Levels = Literal["manual", "auto"]
DriveMode = Literal["flag", "hold_plate", "hold_reference"]
DRIVE_MODES: tuple[DriveMode, ...] = get_args(DriveMode)
DRIVE_WORDS: dict[DriveMode, str] = {
    "flag": "nothing, it is only delivered",
    "hold_plate": "the original mouth where it is white",
    "hold_reference": "a clean reference where it is white",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteSettings:
    """Every parameter of the chain over time; names not in `curves` have their defaults.

    A name with a dot ("weave.density") belongs to a plugin's operator and is handed to it untouched.
    `levels="auto"` takes low and high from each shot's own σ instead of `low_cv` and `high_cv`.
    """

    curves: Mapping[str, Curve] = field(default_factory=dict)
    levels: Levels = "manual"

    def __post_init__(self) -> None:
        for name in self.curves:
            check_name(name)

    def curve(self, name: str) -> Curve:
        """One parameter over time."""
        known = PARAMETERS.get(name)
        return self.curves.get(name, Curve(known.default if known else 0.0))

    def at(self, frame: int) -> dict[str, float]:
        """Every parameter on one frame."""
        names = dict.fromkeys((*PARAMETERS, *self.curves))
        return {name: self.curve(name).at(frame) for name in names}

    def with_value(self, name: str, value: float) -> MatteSettings:
        """The same settings with one parameter constant over time."""
        return self._with(name, Curve(check_value(name, value)))

    def with_key(self, name: str, key: Key) -> MatteSettings:
        """The same settings with one more keyframe."""
        check_value(name, key.value)
        return self._with(name, self.curve(name).with_key(key))

    def without_key(self, name: str, frame: int) -> MatteSettings:
        """The same settings with one keyframe less."""
        return self._with(name, self.curve(name).without_key(frame))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; only what differs from the defaults."""
        curves = {name: curve.to_json() for name, curve in sorted(self.curves.items())}
        return {"levels": self.levels, **curves}

    def _with(self, name: str, curve: Curve) -> MatteSettings:
        check_name(name)
        return replace(self, curves={**self.curves, name: curve})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHold:
    """On frames start ≤ f < stop the automatic matte is that of one frame; strokes stay on their own frames."""

    start: int
    stop: int
    source: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveRange:
    """A part of the shot where the matte drives something else than the take's default."""

    start: int
    stop: int
    mode: DriveMode
    reference_frame: int | None = None
    amount: Curve | None = None  #: how strongly; the take's own where None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveState:
    """What the matte drives on one frame."""

    mode: DriveMode
    amount: float
    reference_frame: int | None = None

    @property
    def moves(self) -> bool:
        """Whether the matte changes the picture."""
        return self.mode != "flag" and self.amount > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """What the matte drives.

    "flag" only delivers it, "hold_plate" keeps the original mouth where it is white, "hold_reference" takes a clean
    reference there. Later ranges win over earlier ones; `amount` scales the effect.
    """

    mode: DriveMode = "flag"
    amount: Curve = field(default_factory=lambda: Curve(1.0))
    reference_frame: int | None = None  #: the clean frame of the plate to hold
    ranges: tuple[DriveRange, ...] = ()

    def at(self, frame: int) -> DriveState:
        """What is driven on one frame, and how much."""
        for part in reversed(self.ranges):
            if part.start <= frame < part.stop:
                reference = self.reference_frame if part.reference_frame is None else part.reference_frame
                amount = self.amount if part.amount is None else part.amount
                return DriveState(mode=part.mode, amount=amount.at(frame), reference_frame=reference)
        return DriveState(mode=self.mode, amount=self.amount.at(frame), reference_frame=self.reference_frame)

    def holds(self, frames: FrameRange) -> list[float]:
        """How strongly the matte gives the plate back on each of these frames, 0 to 1."""
        states = [self.at(frame) for frame in range(frames.start, frames.stop)]
        return [state.amount if state.mode == "hold_plate" else 0.0 for state in states]

    def sentence(self) -> str:
        """What is driven, in words."""
        said = [DRIVE_WORDS[self.mode]]
        said += [f"{DRIVE_WORDS[r.mode]} on frames {r.start} to {r.stop - 1}" for r in self.ranges]
        return "; ".join(said)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "mode": self.mode,
            "amount": self.amount.to_json(),
            "reference_frame": self.reference_frame,
            "ranges": [
                {"start": r.start, "stop": r.stop, "mode": r.mode, "reference_frame": r.reference_frame}
                | ({} if r.amount is None else {"amount": r.amount.to_json()})
                for r in self.ranges
            ],
        }


def check_name(name: str) -> str:
    """Refuse a parameter that neither the chain nor (with a dot in its name) a plugin can know."""
    if name in PARAMETERS or "." in name:
        return name
    near = difflib.get_close_matches(name, [*PARAMETERS, "levels"], n=1, cutoff=0.3)
    advice = f"did you mean matte.{near[0]}?" if near else "see docs/matte.md for the list"
    msg = f"unknown setting matte.{name}; {advice}"
    raise SettingsError(msg, key=f"matte.{name}")


def check_value(name: str, value: float) -> float:
    """Refuse a value out of a known parameter's range."""
    known = PARAMETERS.get(name)
    low, high = (known.low, known.high) if known else (-1e9, 1e9)
    if not low <= value <= high:
        unit = f" {known.unit}" if known and known.unit else ""
        msg = f"matte.{name} is {value:g}, but it must lie between {low:g} and {high:g}{unit}"
        raise SettingsError(msg, key=f"matte.{name}")
    return float(value)


def parse_level(text: str) -> float:
    """An expected error as a person writes it: "6" code values of 255, or "2.5%" of full scale; in code values."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number)
    except ValueError as exc:
        msg = f"{text!r} is not an expected error; write code values such as 6, or a share such as 2.5%"
        raise SettingsError(msg) from exc
    return check_value("low_cv", value * CODE_VALUES / 100 if percent else value)


def read_settings(reader: Reader) -> tuple[MatteSettings, dict[str, Any]]:
    """Read settings; the second value is what a newer version may have added, to be written back as it is."""
    levels = reader.choice("levels", get_args(Levels), "manual")
    curves = {}
    for name in reader.keys():  # noqa: SIM118 - a reader is not a mapping
        known = PARAMETERS.get(name)
        if known:
            curves[name] = read_curve(reader, name, known.low, known.high, known.default)
        elif "." in name:
            curves[name] = read_curve(reader, name, -1e9, 1e9, 0.0)
    return MatteSettings(curves=curves, levels=levels), reader.rest()


def read_drive(reader: Reader) -> Drive:
    """Read what the matte drives."""
    return Drive(
        mode=reader.choice("mode", DRIVE_MODES, "flag"),
        amount=read_curve(reader, "amount", 0.0, 1.0, 1.0),
        reference_frame=reader.optional_frame("reference_frame"),
        ranges=tuple(
            DriveRange(
                start=part.frame("start"),
                stop=part.frame("stop"),
                mode=part.choice("mode", DRIVE_MODES),
                reference_frame=part.optional_frame("reference_frame"),
                amount=read_curve(part, "amount", 0.0, 1.0, 1.0) if "amount" in part.keys() else None,  # noqa: SIM118
            )
            for part in reader.sections("ranges")
        ),
    )


def read_holds(readers: list[Reader]) -> tuple[FrameHold, ...]:
    """Read frame holds."""
    return tuple(
        FrameHold(start=item.frame("start"), stop=item.frame("stop"), source=item.frame("source")) for item in readers
    )
