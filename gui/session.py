"""What the editor shows, as one immutable value: every change makes a new one, and views only ever read it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from julnet_plugin.types import FrameRange, MediaInfo


Direction = Literal[1, -1]


class Compare(enum.Enum):
    """Which picture is looked at."""

    PLATE = "Plate"
    DUB = "Dub"
    WIPE = "Wipe"
    SPLIT = "Plate | Dub"
    DIFFERENCE = "Difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Plate frames start ≤ f < stop that the take wants a person to look at."""

    start: int
    stop: int
    peak: int
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeView:
    """What the editor shows of a take. Frames are the plate's, counted from 0."""

    folder: Path
    frames: FrameRange
    sigma: tuple[float, ...]  #: 95th percentile of σ of each frame in `frames`, display values in [0, 1]
    spans: tuple[Span, ...]  #: most uncertain first
    dub: MediaInfo
    matte: MediaInfo | None  #: white = look here
    colour_space: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def worst_frame(self) -> int | None:
        """The frame of the highest σ; None where no frame was re-dubbed."""
        if not self.sigma or max(self.sigma) <= 0:
            return None
        return self.frames.start + self.sigma.index(max(self.sigma))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The plate, the take beside it, and how they are looked at."""

    plate: MediaInfo | None = None
    take: TakeView | None = None
    frame: int = 0
    in_frame: int | None = None  #: first frame to re-dub; None = the plate's first
    out_frame: int | None = None  #: the last one, shown as people count it; None = the plate's last
    compare: Compare = Compare.PLATE
    wipe: float = 0.5  #: share of the width, from the left, that shows the plate
    overlay: bool = False
    opacity: float = 0.6  #: of the uncertainty overlay
    on_timeline: bool = False  #: seen through the timeline (record monitor), not alone (source monitor)
    clip_id: str | None = None  #: the timeline's clip that is seen
    record_frame: int = 0  #: the timeline's frame at which it is seen

    @property
    def position(self) -> int:
        """The frame of the monitor: of the timeline, or of the medium."""
        return self.record_frame if self.on_timeline else self.frame

    @property
    def frame_count(self) -> int:
        """Frames of the plate; 0 without one."""
        return 0 if self.plate is None else self.plate.frame_count

    @property
    def take_frame(self) -> int | None:
        """The current frame, counted from the take's first; None outside the take."""
        if self.take is None or self.frame not in self.take.frames:
            return None
        return self.frame - self.take.frames.start


def with_plate(session: Session, plate: MediaInfo) -> Session:
    """Another shot: nothing of the last one stays but the way of looking."""
    return Session(plate=plate, wipe=session.wipe, opacity=session.opacity)


def with_take(session: Session, take: TakeView) -> Session:
    """A take beside the plate, shown at once. The frame stays where it is if the take holds it."""
    frame = session.frame if session.frame in take.frames else take.frames.start
    return replace(session, take=take, frame=frame, compare=Compare.DUB)


def at_frame(session: Session, frame: int) -> Session:
    """Go to a frame, or to the nearest that there is."""
    return replace(session, frame=min(max(frame, 0), max(session.frame_count - 1, 0)))


def with_in_point(session: Session) -> Session:
    """The current frame is the first to re-dub; an out point before it goes."""
    keep = session.out_frame is not None and session.out_frame >= session.frame
    return replace(session, in_frame=session.frame, out_frame=session.out_frame if keep else None)


def with_out_point(session: Session) -> Session:
    """The current frame is the last to re-dub; an in point behind it goes."""
    keep = session.in_frame is not None and session.in_frame <= session.frame
    return replace(session, out_frame=session.frame, in_frame=session.in_frame if keep else None)


def toggled(session: Session, compare: Compare) -> Session:
    """Look at this picture; a second time, go back: from the dub to the plate, from the others to the dub."""
    if session.compare is not compare:
        return replace(session, compare=compare)
    return replace(session, compare=Compare.PLATE if compare is Compare.DUB else Compare.DUB)


def next_span(session: Session, step: Direction) -> Span | None:
    """The next worse (-1) or less bad (+1) stretch, from the one that the current frame is in.

    From outside every stretch either way leads to the worst one. None where the take lists none.
    """
    spans = session.take.spans if session.take else ()
    if not spans:
        return None
    here = next((rank for rank, span in enumerate(spans) if span.start <= session.frame < span.stop), None)
    return spans[0 if here is None else (here + step) % len(spans)]


def spans_of(manifest: Mapping[str, Any]) -> tuple[Span, ...]:
    """The stretches that a `take.json` lists under "review", in its order."""
    return tuple(
        Span(
            start=row["start"],
            stop=row["stop"],
            peak=row["peak"],
            sentence=f"expect ±{row['expected_cv']:.0f} code values: {', '.join(row['reasons'])}",
        )
        for row in manifest.get("review", ())
    )


def sigma_of(manifest: Mapping[str, Any]) -> tuple[float, ...]:
    """σ of every frame of a `take.json`; 0 where the frame passes through."""
    return tuple(float(row["sigma_p95"] or 0) if row["redubbed"] else 0.0 for row in manifest["frames"])
