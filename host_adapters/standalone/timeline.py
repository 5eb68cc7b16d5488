"""The timeline: an immutable value. An edit makes a new one (`edits.py`); undo puts the old one back.

Convention:
    Record times are frames of the timeline, counted from 0. Source ranges count the media from 0 at its first frame, in
    frames of `MediaRef.rate`; a clip is as long on the timeline as its source range, frame for frame. Media of another
    rate than the timeline's are counted at the timeline's (`MediaRef.native_rate` keeps their own): they play at their
    own speed, in sync with their sound. All ranges are half-open.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import Literal

from julnet_plugin.errors import InputError
from julnet_plugin.types import FrameRange

TrackKind = Literal["video", "audio"]


class TimelineError(InputError):
    """An edit that cannot be done, or a timeline that breaks a rule; one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRef:
    """A file on disk, as the project names it."""

    path: str  #: relative to the project folder where it lies inside it
    frame_count: int
    rate: Fraction  #: that frames are counted at
    native_rate: Fraction | None = None  #: of the media's own frames; None = `rate`
    start_frame: int = 0  #: timecode of frame 0, in frames of `rate` since 00:00:00:00

    def native_frame(self, frame: int) -> int:
        """The media's own frame that is shown at a frame."""
        if self.native_rate is None or self.native_rate == self.rate:
            return frame
        return int(frame * self.native_rate / self.rate)

    def frame_of_native(self, frame: int) -> int:
        """The first frame at which one of the media's own frames is shown."""
        if self.native_rate is None or self.native_rate == self.rate:
            return frame
        return -int(-frame * self.rate // self.native_rate)

    @property
    def frames(self) -> FrameRange:
        """All of it."""
        return FrameRange(start=0, stop=self.frame_count)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRef:
    """One finished re-dub of a clip's media, beside the original."""

    name: str
    folder: str  #: as `MediaRef.path`
    frames: FrameRange  #: the media's own frames that it holds
    title: str = ""  #: what the user calls it; empty = `name`
    rating: int = 0  #: 0 to 5
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A note at a frame of the timeline."""

    frame: int
    name: str = ""
    note: str = ""
    colour: str = "RED"  #: OpenTimelineIO's name of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A range of a medium on a track."""

    id: str  #: one of its kind in the timeline
    media: MediaRef
    source: FrameRange
    record_in: int
    takes: tuple[TakeRef, ...] = ()
    active_take: str | None = None  #: name of the take that is shown; None = the original
    name: str = ""  #: shown on it; empty = the media's file name
    link: str | None = None  #: clips of one link are picture and sound of one shot, in sync, and are edited together
    enabled: bool = True

    @property
    def title(self) -> str:
        """What it is called on screen."""
        return self.name or PurePath(self.media.path).name

    @property
    def sync(self) -> int:
        """Where frame 0 of the media would lie on the timeline: the same for all clips of a link."""
        return self.record_in - self.source.start

    @property
    def take(self) -> TakeRef | None:
        """The take that is shown."""
        return next((take for take in self.takes if take.name == self.active_take), None)

    @property
    def record_out(self) -> int:
        """The first frame after it."""
        return self.record_in + len(self.source)

    @property
    def head(self) -> int:
        """Frames of the media before the clip: how far its in point can go back."""
        return self.source.start

    @property
    def tail(self) -> int:
        """Frames of the media after the clip."""
        return self.media.frame_count - self.source.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Clips one after the other, in order of time; between them there may be nothing."""

    id: str
    kind: TrackKind
    name: str
    clips: tuple[Clip, ...] = ()
    locked: bool = False
    muted: bool = False
    solo: bool = False
    hidden: bool = False  #: of a video track: not shown

    @property
    def record_out(self) -> int:
        """The first frame after its last clip."""
        return self.clips[-1].record_out if self.clips else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Tracks, bottom first, and markers in order of time."""

    rate: Fraction
    tracks: tuple[Track, ...] = ()
    markers: tuple[Marker, ...] = ()
    start_frame: int = 0  #: timecode of frame 0, in frames since 00:00:00:00
    drop_frame: bool = False

    @property
    def record_out(self) -> int:
        """The first frame after everything."""
        return max((track.record_out for track in self.tracks), default=0)

    def track(self, track_id: str) -> Track:
        """A track by its id.

        Raises:
            TimelineError: there is none.
        """
        for track in self.tracks:
            if track.id == track_id:
                return track
        raise TimelineError(f"the timeline has no track {track_id!r}; it has {[track.id for track in self.tracks]}")

    def clip(self, clip_id: str) -> tuple[Track, int]:
        """Where a clip is: its track and its place on it.

        Raises:
            TimelineError: there is none.
        """
        for track in self.tracks:
            for place, clip in enumerate(track.clips):
                if clip.id == clip_id:
                    return track, place
        raise TimelineError(f"the timeline has no clip {clip_id!r}")


def check(timeline: Timeline) -> None:
    """Every rule that a timeline keeps.

    Raises:
        TimelineError: it breaks one; the sentence says which and where.
    """
    if timeline.rate <= 0:
        raise TimelineError(f"the timeline's rate is {timeline.rate}, and it must be above 0")
    _check_unique([track.id for track in timeline.tracks], "track")
    _check_unique([clip.id for track in timeline.tracks for clip in track.clips], "clip")
    for track in timeline.tracks:
        for clip in track.clips:
            _check_clip(clip)
        for left, right in zip(track.clips, track.clips[1:]):  # noqa: B905 - neighbours
            if right.record_in < left.record_out:
                raise TimelineError(
                    f"on track {track.id} clip {right.id} begins at frame {right.record_in}, before clip {left.id} "
                    f"ends at {left.record_out}"
                )
    _check_links(timeline)
    frames = [marker.frame for marker in timeline.markers]
    if frames != sorted(frames) or any(frame < 0 for frame in frames):
        raise TimelineError("markers must be in order of time, from frame 0 on")


def _check_clip(clip: Clip) -> None:
    if len(clip.source) == 0:
        raise TimelineError(f"clip {clip.id} has no frames")
    if clip.record_in < 0:
        raise TimelineError(f"clip {clip.id} begins at frame {clip.record_in}, before the timeline")
    if clip.source.stop > clip.media.frame_count or clip.media.rate <= 0:
        raise TimelineError(
            f"clip {clip.id} uses frames {clip.source.start} to {clip.source.stop - 1} of {clip.media.path}, which has "
            f"{clip.media.frame_count}"
        )
    names = [take.name for take in clip.takes]
    _check_unique(names, f"take of clip {clip.id}")
    if clip.active_take is not None and clip.active_take not in names:
        raise TimelineError(f"clip {clip.id} shows the take {clip.active_take!r}, which it does not have")


def _check_links(timeline: Timeline) -> None:
    linked: dict[str, list[tuple[str, Clip]]] = {}
    for track in timeline.tracks:
        for clip in track.clips:
            if clip.link is not None:
                linked.setdefault(clip.link, []).append((track.id, clip))
    for link, members in linked.items():
        if len(members) < 2:
            raise TimelineError(f"clip {members[0][1].id} is linked ({link}) to nothing")
        if len({track for track, _ in members}) < len(members):
            raise TimelineError(f"two clips of the link {link} lie on one track")
        if len({clip.sync for _, clip in members}) > 1:
            raise TimelineError(f"the clips of the link {link} are out of sync")


def _check_unique(names: list[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise TimelineError(f"two of the timeline have one name: {what} {twice!r}")
