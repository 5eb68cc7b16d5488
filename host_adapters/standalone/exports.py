"""A project for other programs: FCP7 XML, EDL, and OpenTimelineIO in the shape that DaVinci Resolve takes.

What is exported is what is seen: a clip that shows a take is a clip of the take's movie.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

from host_adapters.standalone import scene
from host_adapters.standalone.otio_write import to_otio
from host_adapters.standalone.project import Project
from host_adapters.standalone.storage import absolute_path
from host_adapters.standalone.timeline import Clip, MediaRef, Timeline, Track
from julnet_plugin.media.timecode import Timecode, nominal_rate
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One clip of the picture as it is seen, or of a sound track."""

    clip: Clip
    record_in: int
    record_out: int

    @property
    def source_in(self) -> int:
        """Its first frame, from the media's first."""
        return self.record_in - self.clip.sync


def shown(project: Project, folder: Path | None) -> Project:
    """The project with absolute paths, and with takes in place of the clips that show them."""

    def clip(old: Clip) -> list[Clip]:
        media = replace(old.media, path=absolute_path(old.media.path, folder).as_posix())
        plain = replace(old, media=media, takes=(), active_take=None, name=old.title)
        take = old.take
        if take is None:
            return [plain]
        first, stop = media.frame_of_native(take.frames.start), media.frame_of_native(take.frames.stop)
        start, end = max(old.source.start, first), min(old.source.stop, stop)
        if end <= start:
            return [plain]
        movie = replace(
            media,
            path=(absolute_path(take.folder, folder) / "dub.mov").as_posix(),
            frame_count=stop - first,
            start_frame=media.start_frame + first,
        )
        parts = []
        if start > old.source.start:
            source = FrameRange(start=old.source.start, stop=start)
            parts.append(replace(plain, source=source, link=None))
        at = old.record_in + start - old.source.start
        source = FrameRange(start=start - first, stop=end - first)
        name = f"{old.title} ({take.title or take.name})"
        parts.append(
            replace(plain, id=f"{old.id}~take", media=movie, source=source, record_in=at, name=name, link=None)
        )
        if end < old.source.stop:
            source = FrameRange(start=end, stop=old.source.stop)
            rest = replace(plain, id=f"{old.id}~rest", source=source, record_in=at + end - start, link=None)
            parts.append(rest)
        return parts

    tracks = tuple(
        replace(track, clips=tuple(part for old in track.clips for part in clip(old)))
        for track in project.timeline.tracks
    )
    return replace(project, timeline=scene.heal(replace(project.timeline, tracks=tracks)), media=())


def picture_events(timeline: Timeline) -> list[Event]:
    """The picture as it is seen, as one track of clips."""
    places = scene.edges(replace(timeline, markers=()))
    events: list[Event] = []
    for start, stop in pairwise(places):
        found = scene.shown_clip(timeline, start)
        if found is None:
            continue
        last = events[-1] if events else None
        if last is not None and last.clip.id == found[1].id and last.record_out == start:
            events[-1] = replace(last, record_out=stop)
        else:
            events.append(Event(clip=found[1], record_in=start, record_out=stop))
    return events


def to_edl(project: Project, folder: Path | None = None) -> str:
    """CMX 3600: the picture as it is seen, and the first sound track that is heard; layers have no place in it."""
    whole = shown(project, folder)
    timeline = whole.timeline
    lines = [f"TITLE: {project.name}", f"FCM: {'DROP FRAME' if timeline.drop_frame else 'NON-DROP FRAME'}", ""]
    sounds = [track.id for track, _ in scene.heard_clips(timeline)]
    heard = [
        Event(clip=clip, record_in=clip.record_in, record_out=clip.record_out)
        for track, clip in scene.heard_clips(timeline)
        if track.id == sounds[0]
    ]
    events = [("V", event) for event in picture_events(timeline)] + [("A", event) for event in heard]
    events.sort(key=lambda pair: (pair[1].record_in, pair[0] == "A"))
    for number, (channel, event) in enumerate(events, start=1):
        media = event.clip.media
        source = media.start_frame + event.source_in
        length = event.record_out - event.record_in
        record = timeline.start_frame + event.record_in
        times = (source, source + length, record, record + length)
        labels = " ".join(_label(frame, timeline) for frame in times)
        lines += [
            f"{number:03d}  {_reel(media):<8} {channel:<5} C        {labels}",
            f"* FROM CLIP NAME: {event.clip.title}",
            f"* SOURCE FILE: {media.path}",
        ]
    for marker in timeline.markers:
        place = _label(timeline.start_frame + marker.frame, timeline)
        lines.append(f"* LOC: {place} {marker.colour:<7} {marker.name or marker.note}")
    return "\n".join(lines) + "\n"


def to_fcp7(project: Project, folder: Path | None = None) -> str:
    """Final Cut Pro 7 XML (xmeml 5), which Premiere, Resolve and Avid read."""
    whole = shown(project, folder)
    timeline = whole.timeline
    root = ET.Element("xmeml", version="5")
    sequence = _sub(root, "sequence", id="sequence-1")
    _sub(sequence, "name", project.name)
    _sub(sequence, "duration", timeline.record_out)
    _rate(sequence, timeline.rate)
    timecode = _sub(sequence, "timecode")
    _rate(timecode, timeline.rate)
    _sub(timecode, "string", _label(timeline.start_frame, timeline))
    _sub(timecode, "frame", timeline.start_frame)
    _sub(timecode, "displayformat", "DF" if timeline.drop_frame else "NDF")
    media = _sub(sequence, "media")
    video, audio = _sub(media, "video"), _sub(media, "audio")
    details = _sub(_sub(video, "format"), "samplecharacteristics")
    _rate(details, timeline.rate)
    _sub(details, "width", project.width)
    _sub(details, "height", project.height)
    files: dict[str, str] = {}
    for track in timeline.tracks:
        parent = video if track.kind == "video" else audio
        element = _sub(parent, "track")
        for clip in track.clips:
            _clipitem(element, clip, track, timeline, project, files)
        _sub(element, "enabled", "FALSE" if track.hidden or track.muted else "TRUE")
        _sub(element, "locked", "TRUE" if track.locked else "FALSE")
    for marker in timeline.markers:
        element = _sub(sequence, "marker")
        _sub(element, "name", marker.name)
        _sub(element, "comment", marker.note)
        _sub(element, "in", marker.frame)
        _sub(element, "out", -1)
    ET.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n'
    return head + ET.tostring(root, encoding="unicode") + "\n"


def to_resolve_otio(project: Project, folder: Path | None = None) -> str:
    """OpenTimelineIO as Resolve imports it: bare absolute paths, one reference a clip, tracks named as Resolve does."""
    whole = shown(project, folder)
    numbers = {"video": 0, "audio": 0}
    tracks: list[Track] = []
    for track in whole.timeline.tracks:
        numbers[track.kind] += 1
        tracks.append(replace(track, name=f"{track.kind.capitalize()} {numbers[track.kind]}"))
    document = to_otio(replace(whole, timeline=replace(whole.timeline, tracks=tuple(tracks))))
    return json.dumps(_foreign(document), indent=1, ensure_ascii=False)


def _foreign(value: Any) -> Any:
    """Without what only we read."""
    if isinstance(value, dict):
        return {key: {} if key == "metadata" else _foreign(child) for key, child in value.items()}
    return [_foreign(child) for child in value] if isinstance(value, list) else value


def _clipitem(
    parent: ET.Element, clip: Clip, track: Track, timeline: Timeline, project: Project, files: dict[str, str]
) -> None:
    item = _sub(parent, "clipitem", id=clip.id)
    _sub(item, "name", clip.title)
    _sub(item, "enabled", "TRUE" if clip.enabled else "FALSE")
    _sub(item, "duration", clip.media.frame_count)
    _rate(item, timeline.rate)
    for name, value in (
        ("start", clip.record_in),
        ("end", clip.record_out),
        ("in", clip.source.start),
        ("out", clip.source.stop),
    ):
        _sub(item, name, value)
    path = clip.media.path
    if path in files:
        _sub(item, "file", id=files[path])
    else:
        files[path] = f"file-{len(files) + 1}"
        _file(_sub(item, "file", id=files[path]), clip.media, track, timeline, project)
    if track.kind == "audio":
        source = _sub(item, "sourcetrack")
        _sub(source, "mediatype", "audio")
        _sub(source, "trackindex", 1)
    if clip.link is not None:
        for other in timeline.tracks:
            for place, partner in enumerate(other.clips, start=1):
                if partner.link == clip.link:
                    link = _sub(item, "link")
                    _sub(link, "linkclipref", partner.id)
                    _sub(link, "mediatype", other.kind)
                    same = [each.id for each in timeline.tracks if each.kind == other.kind]
                    _sub(link, "trackindex", same.index(other.id) + 1)
                    _sub(link, "clipindex", place)


def _file(element: ET.Element, media: MediaRef, track: Track, timeline: Timeline, project: Project) -> None:
    _sub(element, "name", PurePath(media.path).name)
    _sub(element, "pathurl", "file://localhost" + quote(media.path if media.path.startswith("/") else f"/{media.path}"))
    _rate(element, timeline.rate)
    _sub(element, "duration", media.frame_count)
    timecode = _sub(element, "timecode")
    _rate(timecode, timeline.rate)
    _sub(timecode, "string", _label(media.start_frame, timeline))
    _sub(timecode, "frame", media.start_frame)
    _sub(timecode, "displayformat", "DF" if timeline.drop_frame else "NDF")
    kinds = _sub(element, "media")
    paths = {clip.media.path for each in timeline.tracks if each.kind == "video" for clip in each.clips}
    if media.path in paths:
        details = _sub(_sub(kinds, "video"), "samplecharacteristics")
        _sub(details, "width", project.width)
        _sub(details, "height", project.height)
    sounds = {clip.media.path for each in timeline.tracks if each.kind == "audio" for clip in each.clips}
    if media.path in sounds or track.kind == "audio":
        _sub(_sub(kinds, "audio"), "channelcount", 2)


def _sub(parent: ET.Element, tag: str, text: object = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    if text is not None:
        element.text = str(text)
    return element


def _rate(parent: ET.Element, rate: Fraction) -> None:
    element = _sub(parent, "rate")
    _sub(element, "timebase", nominal_rate(rate))
    _sub(element, "ntsc", "TRUE" if rate.denominator == 1001 else "FALSE")


def _label(frame: int, timeline: Timeline) -> str:
    return str(Timecode(frame=frame, rate=timeline.rate, drop_frame=timeline.drop_frame))


def _reel(media: MediaRef) -> str:
    """Eight characters that an EDL may have: letters and digits of the file's name."""
    kept = "".join(letter for letter in PurePath(media.path).stem.upper() if letter.isascii() and letter.isalnum())
    return kept[:8] or "AX"
