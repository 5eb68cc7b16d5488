"""The editor's own document as a host: the same contract over a project that is a value.

The document is whatever holds the project (the editor's window, or `Document` here): an edit puts a new project in,
undo puts the old one back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from host_adapters.base import (
    ClipRef,
    ClipRefused,
    FinishedTake,
    HostGone,
    HostRefused,
    HostSession,
    MatteFile,
    MatteRef,
    RecordFrame,
    RecordRange,
    SourceRange,
    Span,
    TakeRef,
    percent_pattern,
    read_take,
    refuse_missing,
    refuse_short_take,
)
from host_adapters.standalone import edits, storage
from host_adapters.standalone import timeline as model
from host_adapters.standalone.project import Project, with_extra, with_timeline
from julnet_plugin.errors import JulnetError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from julnet_plugin.types import MediaInfo

MATTES, MARKS = "host_mattes", "host_marks"  #: names of what is kept in the project's extras


class Holder(Protocol):
    """What holds the open project."""

    project: Project | None
    folder: Path


@dataclass
class Document:
    """A project without a window."""

    project: Project | None
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> Document:
        """Open a project.

        Raises:
            ProjectError: it cannot be read.
        """
        return cls(storage.load(folder).project, folder)


class StandaloneSession(HostSession):
    """An open project of the editor.

    Args:
        document: holds it; what this session changes is put there.
        selected: ids of the selected clips.
    """

    name = "standalone"
    plays_sound = True  # `gui.mixer` mixes what is shown

    def __init__(self, document: Holder, selected: Callable[[], Sequence[str]] = tuple) -> None:
        self._document, self._selected = document, selected
        self._undo: list[tuple[Project, Project]] = []  # before and after

    def list_clips(self) -> list[ClipRef]:
        timeline = self._project().timeline
        tracks = [track for track in timeline.tracks if track.kind == "video"]
        return [self._clip(clip, number) for number, track in enumerate(tracks) for clip in track.clips]

    def selection(self) -> list[ClipRef]:
        chosen = set(self._selected())
        return [clip for clip in self.list_clips() if clip.id in chosen]

    def place_take(self, clip: ClipRef, take: FinishedTake) -> TakeRef:
        self._held(clip.id)
        refuse_short_take(clip, take)
        refuse_missing(take.picture, "the take's picture")
        ref = model.TakeRef(
            name=take.name,
            folder=storage.stored_path(Path(take.folder), self._document.folder),
            frames=FrameRange(start=take.frames.start.index, stop=take.frames.stop.index),
        )
        self._edit(lambda timeline: edits.add_take(timeline, clip.id, ref))
        return TakeRef(take.name, clip.id, take.name, take.folder, active=True)

    def takes(self, clip: ClipRef) -> list[TakeRef]:
        held = self._held(clip.id)
        return [
            TakeRef(take.name, clip.id, take.name, str(self._path(take.folder)), active=take.name == held.active_take)
            for take in held.takes
        ]

    def select_take(self, clip: ClipRef, take: TakeRef | None) -> None:
        self._edit(lambda timeline: edits.show_take(timeline, clip.id, None if take is None else take.id))

    def attach_matte(self, take: TakeRef, matte: MatteFile) -> MatteRef:
        if all(other.name != take.id for other in self._held(take.clip_id).takes):
            raise HostGone(f"the take {take.name} is not beside the clip any more: place it again")
        refuse_missing(matte.path, "the matte")
        path = storage.stored_path(Path(matte.path), self._document.folder)
        row = {"path": path, "white_shows": matte.white_shows, "enabled": matte.enabled, "first": matte.first_number}
        project = self._project()
        mattes = {**project.extra(MATTES, {}), _key(take.clip_id, take.id): row}
        self._put(with_extra(project, MATTES, mattes))
        return MatteRef(_key(take.clip_id, take.id), take.clip_id, take.id, matte.path)

    def matte(self, take: TakeRef) -> MatteRef | None:
        key = _key(take.clip_id, take.id)
        row = self._project().extra(MATTES, {}).get(key)
        return None if row is None else MatteRef(key, take.clip_id, take.id, str(self._path(row["path"])))

    def read_matte(self, matte: MatteRef) -> str:
        row = self._project().extra(MATTES, {}).get(matte.id)
        if row is None:
            raise HostGone("this matte is not in the project any more: attach it again")
        return str(self._path(row["path"]))

    def mark(self, clip: ClipRef, spans: Sequence[Span]) -> None:
        project = self._project()
        kept = project.extra(MARKS, {})
        old = [model.Marker(**row["marker"]) for row in kept.get(clip.id, [])]
        markers = [marker for marker in project.timeline.markers if marker not in old]
        rows = []
        for span in spans:
            inside = span.frames.clipped(clip.source)
            where = clip.record_of(inside)
            if len(where):
                title = f"JULNet: expect ±{span.expected_cv:.0f} of 255"
                marker = model.Marker(frame=where.start.index, name=title, note=span.note)
                frames = [inside.start.index, inside.stop.index]
                rows.append({"frames": frames, "cv": span.expected_cv, "marker": asdict(marker)})
                markers.append(marker)
        markers.sort(key=lambda marker: marker.frame)
        marked = replace(project.timeline, markers=tuple(markers))
        self._put(with_extra(with_timeline(project, marked), MARKS, {**kept, clip.id: rows}))

    def marks(self, clip: ClipRef) -> list[Span]:
        rows = self._project().extra(MARKS, {}).get(clip.id, [])
        spans = [Span(SourceRange.of(*row["frames"]), float(row["cv"]), row["marker"]["note"]) for row in rows]
        return sorted(spans, key=lambda span: span.frames.start.index)

    def render(self, frames: RecordRange, out: str) -> str:
        """Writes 16-bit PNGs of media that is deeper than 8 bits, else 8-bit ones."""
        from julnet_plugin.media.sequence_writer import write_picture

        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for number, picture in enumerate(self._pictures(frames), frames.start.index):
                write_picture(folder / f"julnet.{number:06d}.png", picture)
        except JulnetError as exc:
            raise HostRefused(str(exc)) from exc
        return str(folder / "julnet.######.png")

    def undo(self) -> None:
        """Puts the project of before back, unless a person has changed it since."""
        if self._undo:
            before, after = self._undo.pop()
            if self._document.project is after:
                self._document.project = before

    def save(self) -> None:
        try:
            storage.save(self._project(), self._document.folder)
        except JulnetError as exc:
            raise HostRefused(str(exc)) from exc

    def _project(self) -> Project:
        if self._document.project is None:
            raise HostGone("the project was closed: open it again, and place the take from its folder")
        return self._document.project

    def _put(self, project: Project) -> None:
        self._undo.append((self._project(), project))
        self._document.project = project

    def _edit(self, edit: Callable[[model.Timeline], model.Timeline]) -> None:
        project = self._project()
        try:
            self._put(with_timeline(project, edit(project.timeline)))
        except model.TimelineError as exc:
            raise HostRefused(str(exc)) from exc

    def _held(self, clip_id: str) -> model.Clip:
        try:
            track, place = self._project().timeline.clip(clip_id)
        except model.TimelineError as exc:
            raise HostGone(f"the clip is not on the timeline any more ({exc}): place the take from its folder") from exc
        return track.clips[place]

    def _path(self, name: str) -> Path:
        return storage.absolute_path(name, self._document.folder)

    def _clip(self, clip: model.Clip, track: int) -> ClipRef:
        media, path = clip.media, self._path(clip.media.path)
        info = _probed(path)
        first, last = media.native_frame(clip.source.start), media.native_frame(clip.source.stop - 1)
        return ClipRef(
            id=clip.id,
            name=clip.title,
            path=str(path),
            source=SourceRange.of(first, last + 1),
            record=RecordRange.of(clip.record_in, clip.record_out),
            source_rate=info.rate if info else (media.native_rate or media.rate),
            record_rate=self._project().timeline.rate,
            media=SourceRange.of(0, info.frame_count if info else media.native_frame(media.frame_count - 1) + 1),
            start_timecode=info.start_timecode if info else None,
            reel=info.reel if info else None,
            first_number=info.first_number if info else 0,
            track=track,
        )

    def _pictures(self, frames: RecordRange) -> Iterator[Any]:
        clips = self.list_clips()
        for frame in frames:
            clip = next((c for c in reversed(clips) if c.record.start <= frame < c.record.stop), None)
            if clip is None:
                raise ClipRefused(f"frame {frame.index} of the timeline shows nothing: render a range that clips cover")
            yield self._picture(clip, frame)

    def _picture(self, clip: ClipRef, frame: RecordFrame) -> Any:
        """A frame of a clip: its plate, or its take through the take's matte."""
        index, held = clip.source_of(frame).index, self._held(clip.id)
        if held.take is None:
            return _read(Path(clip.path), index)
        take = read_take(str(self._path(held.take.folder)))
        position = index - take.frames.start.index
        dub = _read(Path(percent_pattern(take.picture)), position)
        row = self._project().extra(MATTES, {}).get(_key(clip.id, held.take.name))
        if row is None or not row["enabled"]:
            return dub
        return _mixed(_read(Path(clip.path), index), dub, _read(self._path(row["path"]), position), row["white_shows"])


def _key(clip_id: str, take_id: str) -> str:
    return f"{clip_id}/{take_id}"


def _probed(path: Path) -> MediaInfo | None:
    """What a medium is; None while it is missing."""
    from julnet_plugin.media.probe import probe

    try:
        return probe(path)
    except JulnetError:
        return None


def _read(path: Path, index: int) -> Any:
    from julnet_plugin.media.reader import open_plate

    with open_plate(path) as reader:
        return reader.frame(index).rgb


def _mixed(plate: Any, dub: Any, matte: Any, white_shows: str) -> Any:
    """Dub and plate through a matte; where it is fully white or black, the one or the other, value for value."""
    import numpy as np

    peak = np.iinfo(matte.dtype).max if matte.dtype.kind == "u" else 1.0
    share = matte[..., 1:2].astype(np.float64) / peak
    share = share if white_shows == "dub" else 1 - share
    mixed = plate + (dub.astype(np.float64) - plate) * share
    return (np.rint(mixed) if plate.dtype.kind == "u" else mixed).astype(plate.dtype)
