"""What every host adapter does, in one vocabulary: read a clip, place a take beside it, matte, markers, render, undo.

Standard library only and Python 3.7 syntax: this file is imported inside Resolve, Nuke and Blender.

Convention:
    Ranges are half-open and rates are fractions. A `SourceFrame` counts from 0 at the first frame of a medium, at the
    medium's own rate; a `RecordFrame` counts from 0 at the first frame of the timeline, at the timeline's rate. Both
    are types of their own: neither can be added to, compared with or taken for the other, nor for a plain number.
"""

from __future__ import annotations

import abc
import json
import math
import os
from fractions import Fraction
from typing import Any, Generic, Iterator, Sequence, TypeVar

from host_adapters.values import dataclass, field, replace


class HostProblem(Exception):  # noqa: N818 - julnet_plugin.errors has a HostError
    """Something a host cannot do; one sentence for a person: what was found, what was needed, what to do."""


class ClipRefused(HostProblem):
    """The clip is of a kind that cannot be re-dubbed: retimed, a generator, a compound clip."""


class MediaMissing(HostProblem):
    """The clip's media is not where the host says, or a take's files are gone."""


class HostGone(HostProblem):
    """The project, timeline or clip that a take belongs to is not open any more."""


class HostRefused(HostProblem):
    """The host said no to a call, or said yes and did not do it."""


_F = TypeVar("_F", bound="_Frame")


@dataclass(frozen=True)
class _Frame:
    """A frame number that knows what it counts."""

    index: int

    def __add__(self: _F, count: int) -> _F:
        if type(count) is not int:
            return NotImplemented
        return type(self)(self.index + count)

    def __sub__(self: _F, other: _F) -> int:
        if type(other) is not type(self):
            return NotImplemented
        return self.index - other.index

    def __lt__(self: _F, other: _F) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.index < other.index

    def __le__(self: _F, other: _F) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.index <= other.index


@dataclass(frozen=True)
class SourceFrame(_Frame):
    """A frame of a medium, counted from its first frame at its own rate."""


@dataclass(frozen=True)
class RecordFrame(_Frame):
    """A frame of a timeline, counted from its first frame at the timeline's rate."""


@dataclass(frozen=True)
class _Range(Generic[_F]):
    """Half-open: `start` is in, `stop` is not."""

    start: _F
    stop: _F

    def __post_init__(self) -> None:
        if self.stop < self.start:
            raise ValueError(f"not a range: start {self.start.index}, stop {self.stop.index}")

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[_F]:
        return (self.start + k for k in range(len(self)))

    def covers(self, other: _Range[_F]) -> bool:
        """Whether every frame of another range lies in this one."""
        return self.start <= other.start and other.stop <= self.stop


@dataclass(frozen=True)
class SourceRange(_Range[SourceFrame]):
    """Frames of a medium."""

    @classmethod
    def of(cls, start: int, stop: int) -> SourceRange:
        """From plain numbers."""
        return cls(SourceFrame(start), SourceFrame(stop))

    def clipped(self, other: SourceRange) -> SourceRange:
        """What both ranges hold; empty where they do not meet."""
        start = max(self.start.index, other.start.index)
        return SourceRange.of(start, max(start, min(self.stop.index, other.stop.index)))


@dataclass(frozen=True)
class RecordRange(_Range[RecordFrame]):
    """Frames of a timeline."""

    @classmethod
    def of(cls, start: int, stop: int) -> RecordRange:
        """From plain numbers."""
        return cls(RecordFrame(start), RecordFrame(stop))


@dataclass(frozen=True)
class ClipRef:
    """A clip on a timeline: which frames of which medium lie where. A value: the host may have moved on since."""

    id: str  #: the host's own name of it, one of its kind in the timeline
    name: str
    path: str  #: the movie, or the pattern of a sequence: "plates/shot.####.exr"
    source: SourceRange
    record: RecordRange
    source_rate: Fraction
    record_rate: Fraction
    media: SourceRange  #: every frame that the medium has; what lies outside `source` are handles
    start_timecode: str | None = None  #: of the medium's first frame
    reel: str | None = None
    first_number: int = 0  #: of a sequence's first file
    speed: Fraction | None = None  #: of a retimed clip, as far as the host says; None = as shot
    track: int = 0  #: video track, from 0 at the bottom
    hints: dict[str, str] = field(
        default_factory=dict, compare=False
    )  #: colour space and the like, as the host names it

    @property
    def head(self) -> int:
        """Frames of the medium before the clip."""
        return self.source.start - self.media.start

    @property
    def tail(self) -> int:
        """Frames of the medium after the clip."""
        return self.media.stop - self.source.stop

    def with_handles(self, frames: int) -> SourceRange:
        """The clip and so many frames on each side, as far as the medium has them."""
        return SourceRange.of(
            self.source.start.index - min(frames, self.head), self.source.stop.index + min(frames, self.tail)
        )

    def source_of(self, frame: RecordFrame) -> SourceFrame:
        """The medium's frame that the timeline shows at a frame of this clip."""
        if len(self.record) == len(self.source):
            return self.source.start + (frame - self.record.start)
        shown = math.floor((frame - self.record.start) * self.source_rate / self.record_rate)
        return self.source.start + min(shown, len(self.source) - 1)

    def record_of(self, span: SourceRange) -> RecordRange:
        """Where the timeline shows frames of the medium, as far as they lie in the clip."""
        inside = span.clipped(self.source)
        first, last = inside.start - self.source.start, inside.stop - self.source.start
        if len(self.record) != len(self.source):
            step = self.record_rate / self.source_rate
            first, last = math.ceil(first * step), math.ceil(last * step)
        first, last = min(first, len(self.record)), min(last, len(self.record))
        return RecordRange(self.record.start + first, self.record.start + last)


@dataclass(frozen=True)
class Span:
    """A stretch of the medium that is worth a look."""

    frames: SourceRange
    expected_cv: float = 0.0  #: expected error in code values of 255
    note: str = ""


@dataclass(frozen=True)
class FinishedTake:
    """A take on disk, as far as a host needs it."""

    folder: str
    name: str
    picture: str  #: the movie, or the pattern of a sequence; its first frame is `frames.start` of the plate
    matte: str | None  #: uncertainty: white = look here; a movie or a pattern, frame for frame as `picture`
    frames: SourceRange  #: frames of the plate that it holds
    rate: Fraction
    start_timecode: str | None = None
    first_number: int = 0  #: of the first file, where picture or matte is a sequence
    spans: tuple[Span, ...] = ()  #: most uncertain first
    sound: str | None = None  #: a movie whose sound is the new line, from `picture`'s first frame on; None = none


@dataclass(frozen=True)
class MatteFile:
    """A matte for a take, and what its white means."""

    path: str  #: a movie or a pattern, frame for frame as the take's picture
    white_shows: str = "dub"  #: "dub": the take is seen where the matte is white; "plate": the original is
    enabled: bool = True  #: False: attached for looking and painting, without effect on the picture yet
    first_number: int = 0

    def __post_init__(self) -> None:
        if self.white_shows not in ("dub", "plate"):
            raise ValueError(f"white shows the dub or the plate, not {self.white_shows!r}")


@dataclass(frozen=True)
class TakeRef:
    """A take that a host holds beside a clip's original."""

    id: str  #: the host's own name of it
    clip_id: str
    name: str
    folder: str  #: the take on disk
    active: bool = False


@dataclass(frozen=True)
class MatteRef:
    """A matte that a host holds for a take."""

    id: str
    clip_id: str
    take_id: str
    path: str


class HostSession(abc.ABC):
    """One open project in one host. Every method is called on the host's main thread.

    Nothing that a person made is changed or removed: a take lies beside the original, `select_take(clip, None)` shows
    the original again, and `undo` takes back what the last call that changed something did.
    """

    name = ""  #: "resolve", "nuke" …
    plays_sound = False  #: whether a timeline of it has sound
    lays_patches = False  #: whether it can lay a take's EXR layers, which are a patch, over the plate

    @abc.abstractmethod
    def list_clips(self) -> list[ClipRef]:
        """Every clip of the timeline that shows a medium, in order of track and time; takes are not clips."""

    @abc.abstractmethod
    def selection(self) -> list[ClipRef]:
        """The selected clips; in a host without a selection, the clip under the playhead."""

    @abc.abstractmethod
    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        """Put a finished take beside a clip's original, and show it.

        Where the host plays sound, the take's new line comes with it: it is heard while the take is shown, and the
        clip's own sound is heard while the original is. Sound that reaches beyond the clip is left alone.

        Raises:
            ClipRefused: the take does not hold every frame of the clip.
            MediaMissing: the take's files are gone.
            HostGone: the project or the clip is not there any more.
            HostRefused: the host did not do it; the timeline is as it was.
        """

    @abc.abstractmethod
    def takes(self, clip: ClipRef) -> list[TakeRef]:
        """The takes beside a clip, oldest first; the one that is shown is `active`."""

    @abc.abstractmethod
    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        """Show a take, or with None the original."""

    @abc.abstractmethod
    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        """Give a take a matte of the host's own kind; a second one takes the place of the first."""

    @abc.abstractmethod
    def matte(self, take: TakeRef) -> MatteRef | None:
        """The matte that a take has; None where it has none."""

    @abc.abstractmethod
    def read_matte(self, matte: MatteRef) -> str:
        """Where the matte lies as a person has edited it in the host: a movie or a pattern, for `julnet matte`.

        The matte file itself where nobody touched it.
        """

    @abc.abstractmethod
    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        """Mark stretches of a clip that are worth a look; marks of an earlier take of this clip go."""

    @abc.abstractmethod
    def marks(self, clip: ClipRef) -> list[Span]:
        """What `mark` put there, in order of time."""

    @abc.abstractmethod
    def render(self, frames: RecordRange, out: str) -> str:
        """Let the host render its timeline into a folder, as exactly as it can.

        Returns:
            What was written: a movie, or the pattern of a sequence, whose first frame is `frames.start`.
        """

    @abc.abstractmethod
    def undo(self) -> None:
        """Take back the last call that changed the project; without one, do nothing."""

    @abc.abstractmethod
    def save(self) -> None:
        """Save the project where it lies."""


def refuse_retimed(clip: ClipRef) -> None:
    """Refuse a clip that does not run at the speed it was shot at: its lips would not keep step with the dub.

    A clip of one rate in a timeline of another may last a frame more or less than its frames say.

    Raises:
        ClipRefused: it is retimed.
    """
    straight = len(clip.source) * clip.record_rate / clip.source_rate
    speed = clip.speed if clip.speed is not None else straight / max(len(clip.record), 1)
    unsaid = clip.speed is None and (len(clip.record) == len(clip.source) or abs(len(clip.record) - straight) < 2)
    if speed != 1 and not unsaid:
        raise ClipRefused(
            f"{clip.name} is retimed to {float(speed) * 100:.0f} % speed and a clip at 100 % is needed: remove the "
            "retime, or render it in place and re-dub the result"
        )


def refuse_short_take(clip: ClipRef, take: FinishedTake) -> None:
    """Refuse a take that lacks frames that the clip shows.

    Raises:
        ClipRefused: it does.
    """
    if not take.frames.covers(clip.source):
        raise ClipRefused(
            f"the take {take.name} holds frames {take.frames.start.index} to {take.frames.stop.index - 1} of the plate "
            f"and the clip {clip.name} shows {clip.source.start.index} to {clip.source.stop.index - 1}: "
            "re-dub the clip again"
        )


def refuse_missing(path: str, what: str) -> None:
    """Refuse a movie or a sequence that is not on disk.

    Raises:
        MediaMissing: it is not.
    """
    if not media_exists(path):
        raise MediaMissing(
            f"{what} {path} is not there: it was moved, renamed or its disk is not mounted; relink it and try again"
        )


def media_exists(path: str) -> bool:
    """Whether a movie, or at least one file of a sequence's pattern, is on disk."""
    if "#" not in path and "%" not in path:
        return os.path.exists(path)
    return bool(sequence_files(path))


def sequence_files(pattern: str) -> list[str]:
    """The files of a pattern such as "shot.####.exr" or "shot.%04d.exr", in order of their numbers."""
    folder, name = os.path.split(pattern)
    before, digits, after = split_pattern(name)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return []
    found = []
    for other in names:
        number = other[len(before) : len(other) - len(after)]
        if other.startswith(before) and other.endswith(after) and number.isdigit() and len(number) >= digits:
            found.append((int(number), os.path.join(folder, other)))
    return [path for _, path in sorted(found)]


def split_pattern(name: str) -> tuple[str, int, str]:
    """What lies before the number in the name of a sequence, how many digits it has, and what lies behind it.

    Raises:
        ValueError: the name has no number's place.
    """
    if "#" in name:
        first, last = name.index("#"), name.rindex("#")
        return name[:first], last + 1 - first, name[last + 1 :]
    before, mark, behind = name.rpartition("%")
    digits, kind, after = behind.partition("d")
    if not mark or not kind or (digits and not digits.isdigit()):
        raise ValueError(f"{name!r} has no place for a frame number, such as ####")
    return before, int(digits or 1), after


def percent_pattern(pattern: str) -> str:
    """The pattern "shot.####.exr" as "shot.%04d.exr"; anything else as it is."""
    folder, name = os.path.split(pattern)
    if "#" not in name:
        return pattern
    before, digits, after = split_pattern(name)
    return os.path.join(folder, f"{before}%0{digits}d{after}")


def hash_pattern(pattern: str) -> str:
    """The pattern "shot.%04d.exr" as "shot.####.exr"; anything else as it is."""
    folder, name = os.path.split(pattern)
    if "%" not in name:
        return pattern
    before, digits, after = split_pattern(name)
    return os.path.join(folder, before + "#" * digits + after)


def read_take(folder: str, picture: str = "", patches: bool = False) -> FinishedTake:
    """Read what a host needs from a take's `take.json`.

    Args:
        folder: the take folder, or its `take.json`.
        picture: kind of the delivery to place; empty = the first movie there is, else the first sequence.
        patches: take EXR layers for a picture too, where there is nothing else; they hold a patch, not the whole frame.

    Raises:
        MediaMissing: there is no take, or it lacks that picture.
    """
    if os.path.basename(folder) == "take.json":
        folder = os.path.dirname(folder)
    folder = os.path.abspath(folder)
    try:
        with open(os.path.join(folder, "take.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        files, plate = manifest["files"], manifest["plate"]
        start, stop = plate["frame_range"]
        whole = ["prores", "prores4444", "h264", "png"]
        kinds = [picture] if picture else whole + (["exr"] if patches else [])
        kind = next((name for name in kinds if name in files), None)
        if kind is None:
            raise MediaMissing(
                f"the take {folder} holds {', '.join(sorted(files))}, but one of {', '.join(kinds)} is needed: "
                "deliver one of these"
            )
        return FinishedTake(
            folder=folder,
            name=os.path.basename(folder),
            picture=_inside(folder, files[kind]),
            matte=_matte_of(folder, files),
            frames=SourceRange.of(start, stop),
            rate=Fraction(plate["rate"]),
            start_timecode=plate.get("start_timecode"),
            first_number=int(plate.get("first_number", 0)),
            spans=tuple(_span(row) for row in manifest.get("review", [])),
            sound=next((_inside(folder, files[name]) for name in _SOUNDING if name in files), None),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as exc:
        raise MediaMissing(
            f"{folder} holds no take that can be read ({exc}): give a folder that julnet redub wrote"
        ) from None


_SOUNDING = ("prores", "prores4444", "h264")  #: deliveries with the new line in them


def _matte_of(folder: str, files: dict[str, Any]) -> str | None:
    for kind in ("matte-png", "matte", "matte-luma", "uncertainty"):
        if kind in files:
            return _inside(folder, files[kind])
    return None


def _inside(folder: str, name: str) -> str:
    return os.path.join(folder, *name.split("/"))


def _span(row: dict[str, Any]) -> Span:
    return Span(
        frames=SourceRange.of(int(row["start"]), int(row["stop"])),
        expected_cv=float(row.get("expected_cv", 0.0)),
        note=", ".join(str(reason) for reason in row.get("reasons", [])),
    )


def activated(takes: Sequence[TakeRef], active: str | None) -> list[TakeRef]:
    """The same takes, of which the one with this id is shown."""
    return [replace(take, active=take.id == active) for take in takes]
