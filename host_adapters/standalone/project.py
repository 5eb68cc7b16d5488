"""The project: media, one timeline, and what the editor's parts keep with them. An immutable value."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from host_adapters.standalone.timeline import Clip, MediaRef, Timeline, TimelineError, Track, check

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class BinItem:
    """One medium of the project, as the bin shows it."""

    id: str
    media: MediaRef
    kind: str = "video"  #: "video", "audio"
    has_audio: bool = False
    width: int = 0
    height: int = 0
    codec: str = ""
    drop_frame: bool = False
    sample_rate_hz: int = 0
    channels: int = 0
    note: str = ""
    folder: str = ""  #: of the bin, "" = its top


def default_tracks() -> tuple[Track, ...]:
    """What a new project begins with: two picture and two sound tracks."""
    return (
        Track(id="v1", kind="video", name="V1"),
        Track(id="v2", kind="video", name="V2"),
        Track(id="a1", kind="audio", name="A1"),
        Track(id="a2", kind="audio", name="A2"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything that is saved."""

    name: str = "Untitled"
    width: int = 1920
    height: int = 1080
    timeline: Timeline = field(default_factory=lambda: Timeline(rate=Fraction(25), tracks=default_tracks()))
    media: tuple[BinItem, ...] = ()
    #: What parts of the editor keep in the project, each under a name of its own, as JSON text: `extra`, `with_extra`.
    extras: tuple[tuple[str, str], ...] = ()

    def item(self, item_id: str) -> BinItem:
        """A medium by its id.

        Raises:
            TimelineError: there is none.
        """
        for item in self.media:
            if item.id == item_id:
                return item
        raise TimelineError(f"the project has no medium {item_id!r}")

    def extra(self, name: str, default: Any = None) -> Any:
        """What a part keeps under a name."""
        return next((json.loads(text) for key, text in self.extras if key == name), default)


def with_extra(project: Project, name: str, value: Any) -> Project:
    """Keep something (JSON-able) under a name; None takes it away."""
    kept = [(key, text) for key, text in project.extras if key != name]
    if value is not None:
        kept.append((name, json.dumps(value, sort_keys=True)))
    return replace(project, extras=tuple(sorted(kept)))


def with_timeline(project: Project, timeline: Timeline) -> Project:
    """Another value of the timeline."""
    return replace(project, timeline=timeline)


def on_timeline(edit: Callable[[Timeline], Timeline]) -> Callable[[Project], Project]:
    """An edit of the timeline as an edit of the project."""
    return lambda project: replace(project, timeline=edit(project.timeline))


def add_item(project: Project, item: BinItem) -> Project:
    """One more medium; one that is there already (the same path) changes nothing."""
    if any(other.media.path == item.media.path for other in project.media):
        return project
    return replace(project, media=(*project.media, replace(item, id=fresh_id(project, item.id))))


def remove_item(project: Project, item_id: str) -> Project:
    """Take a medium out of the bin.

    Raises:
        TimelineError: the timeline uses it.
    """
    item = project.item(item_id)
    used = [c.id for track in project.timeline.tracks for c in track.clips if c.media.path == item.media.path]
    if used:
        message = f"{item.media.path} is used by {len(used)} clips of the timeline; delete those first"
        raise TimelineError(message)
    return replace(project, media=tuple(other for other in project.media if other.id != item_id))


def relink(project: Project, moved: dict[str, str]) -> Project:
    """Media that lie elsewhere now: old path to new path, in the bin, in clips and in takes."""

    def ref(media: MediaRef) -> MediaRef:
        return replace(media, path=moved.get(media.path, media.path))

    def clip(old: Clip) -> Clip:
        takes = tuple(replace(take, folder=moved.get(take.folder, take.folder)) for take in old.takes)
        return replace(old, media=ref(old.media), takes=takes)

    tracks = tuple(replace(t, clips=tuple(clip(c) for c in t.clips)) for t in project.timeline.tracks)
    return replace(
        project,
        timeline=replace(project.timeline, tracks=tracks),
        media=tuple(replace(item, media=ref(item.media)) for item in project.media),
    )


def fresh_id(project: Project, stem: str) -> str:
    """An id that no medium has."""
    used, number, name = {item.id for item in project.media}, 1, stem
    while name in used:
        number += 1
        name = f"{stem}-{number}"
    return name


def check_project(project: Project) -> None:
    """Every rule that a project keeps.

    Raises:
        TimelineError: it breaks one.
    """
    check(project.timeline)
    ids = [item.id for item in project.media]
    if len(set(ids)) < len(ids):
        raise TimelineError("two media of the project have one id")
    if project.width <= 0 or project.height <= 0:
        raise TimelineError(f"the project's picture is {project.width}x{project.height}; it must be above 0")
