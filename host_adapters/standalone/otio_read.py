"""OpenTimelineIO JSON as a project: our own files without loss, other programs' as far as a project can carry them.

What cannot be carried is said, one sentence each; nothing is dropped in silence. Only what cannot be read at all (not
JSON, not OpenTimelineIO, a newer schema of ours) is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from host_adapters.standalone.otio_write import ORIGINAL, SCHEMA_VERSION
from host_adapters.standalone.project import BinItem, Project, check_project, default_tracks, fresh_id
from host_adapters.standalone.scene import heal
from host_adapters.standalone.timeline import Clip, Marker, MediaRef, TakeRef, Timeline, TimelineError, Track
from julnet_plugin.errors import InputError
from julnet_plugin.types import FrameRange

Json = dict[str, Any]

_RATES = tuple(Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120))


class ProjectError(InputError):
    """A project that cannot be opened or saved; one sentence."""


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What is known while a document is read."""

    rate: Fraction
    notes: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    markers: list[Marker] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def fresh(self, stem: str) -> str:
        name, number = stem, 1
        while name in self.ids:
            number += 1
            name = f"{stem}-{number}"
        self.ids.add(name)
        return name


def parse(text: str, name: str) -> Json:
    """The JSON of a document.

    Raises:
        ProjectError: it is not JSON, or not an object.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as exc:
        message = f"{name} is damaged: it is not OpenTimelineIO JSON ({exc}); open a backup or an export of it"
        raise ProjectError(message) from exc
    if not isinstance(value, dict) or not isinstance(value.get("OTIO_SCHEMA"), str):
        raise ProjectError(f"{name} is not an OpenTimelineIO document: it has no OTIO_SCHEMA; export it as .otio")
    return value


def from_otio(document: Json, name: str) -> tuple[Project, list[str]]:
    """A project, and a sentence for everything that it cannot carry.

    Args:
        document: from `parse`.
        name: of the file, for sentences.

    Raises:
        ProjectError: it is none, is damaged, or was made by a newer JULNet.
    """
    try:
        timeline, notes = _timeline_of(document, name)
        return _read(migrated(timeline, name), name, notes)
    except (TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as exc:
        message = f"{name} is damaged: {type(exc).__name__} at {exc}; open a backup or an export of it"
        raise ProjectError(message) from exc
    except TimelineError as exc:
        raise ProjectError(f"{name} is damaged: {exc}; open a backup or an export of it") from exc


def migrated(document: Json, name: str) -> Json:
    """The document as the newest schema has it; other programs' documents as they are.

    Raises:
        ProjectError: a newer JULNet made it.
    """
    ours = _ours(document)
    version = ours.get("schema_version")
    if version is None:
        return document
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        message = (
            f"{name} was saved by a newer JULNet (project schema {version}, this one reads up to {SCHEMA_VERSION}); "
            "update JULNet, or export OTIO there"
        )
        raise ProjectError(message)
    for step in range(version, SCHEMA_VERSION):
        document = _MIGRATIONS[step](document)
    return document


def _from_1(document: Json) -> Json:
    """Schema 1 kept what parts store as values; schema 2 as text, so that a project can be hashed and compared."""
    ours = dict(_ours(document))
    ours["extras"] = {key: json.dumps(value, sort_keys=True) for key, value in ours.get("extras", {}).items()}
    ours["schema_version"] = 2
    return {**document, "metadata": {**document.get("metadata", {}), "julnet": ours}}


_MIGRATIONS = {1: _from_1}


def _timeline_of(document: Json, name: str) -> tuple[Json, list[str]]:
    """The timeline of a document, and what is said of its others."""
    kind = document["OTIO_SCHEMA"].partition(".")[0]
    if kind == "Timeline":
        return document, []
    if kind == "SerializableCollection":
        found = [child for child in document.get("children") or [] if _kind(child) == "Timeline"]
        if found:
            said = f'{name} holds {len(found)} timelines; the first, "{found[0].get("name", "")}", is opened'
            return found[0], [said] if len(found) > 1 else []
    if kind in ("Stack", "Track"):
        stack = document if kind == "Stack" else {"OTIO_SCHEMA": "Stack.1", "children": [document]}
        return {"OTIO_SCHEMA": "Timeline.1", "name": document.get("name", ""), "tracks": stack}, []
    raise ProjectError(f"{name} holds a {kind} and no timeline; export the timeline itself as .otio")


def _read(document: Json, name: str, notes: list[str]) -> tuple[Project, list[str]]:
    ours = _ours(document)
    stack = document.get("tracks") or {"children": []}
    rate = Fraction(ours["rate"]) if "rate" in ours else _rate_of(document)
    reading = _Reading(rate=rate, notes=notes)
    window = stack.get("source_range")
    tracks = tuple(_track(child, window, reading) for child in _tracks_of(stack, reading))
    _read_notes(stack, 0, 0 if window is None else _frames(window["start_time"], rate), "the timeline", reading)
    if not ours:
        _say_metadata(document, reading)
    start = document.get("global_start_time")
    timeline = Timeline(
        rate=rate,
        tracks=_with_both_kinds(_ordered(tracks), reading) if "schema_version" not in ours else tracks,
        markers=tuple(sorted(_from_zero(reading.markers), key=lambda marker: marker.frame)),
        start_frame=0 if start is None else _frames(start, rate),
        drop_frame=bool(ours.get("drop_frame", False)),
    )
    project = Project(
        name=str(document.get("name") or PurePath(name).stem),
        width=int(ours.get("width", 1920)),
        height=int(ours.get("height", 1080)),
        timeline=heal(timeline) if "schema_version" not in ours else timeline,
        extras=tuple(sorted((str(key), str(text)) for key, text in (ours.get("extras") or {}).items())),
    )
    project = replace(project, media=tuple(_item(item) for item in ours.get("media", ())))
    if "schema_version" not in ours:
        project = _with_missing_items(project)
    check_project(project)
    return project, reading.notes


def _tracks_of(stack: Json, reading: _Reading) -> Iterator[Json]:
    for child in stack.get("children") or []:
        kind = _kind(child)
        if kind == "Track" and str(child.get("kind", "Video")) in ("Video", "Audio"):
            yield child
        elif kind == "Track":
            reading.say(f'the track "{child.get("name", "")}" is of kind {child.get("kind")} and is left out')
        elif kind == "Stack":
            if child.get("source_range") is not None:
                reading.say(f'the stack "{child.get("name", "")}" is cut to a range there, and whole here')
            yield from _tracks_of(child, reading)
        else:
            yield {"OTIO_SCHEMA": "Track.1", "kind": "Video", "name": "", "children": [child]}


def _track(document: Json, window: Json | None, reading: _Reading) -> Track:
    """A track of the timeline, as the timeline's own window cuts it."""
    ours = _ours(document)
    kind = "audio" if document.get("kind") == "Audio" else "video"
    name = str(document.get("name") or "")
    since = len(reading.markers)
    clips = _cut(_clips(document, reading), window, reading.rate)
    _read_notes(document, 0, 0, f'the track "{name}"', reading)
    reading.markers[since:] = _moved(reading.markers[since:], 0, window, reading.rate)
    number = sum(1 for name in reading.ids if name[:1] == kind[0] and name[1:].isdigit()) + 1
    track_id = str(ours["id"]) if "id" in ours else reading.fresh(f"{kind[0]}{number}")
    off = document.get("enabled") is False and not ours
    return Track(
        id=track_id,
        kind="audio" if kind == "audio" else "video",
        name=str(document.get("name") or track_id.upper()),
        clips=tuple(clips),
        locked=bool(ours.get("locked", False)),
        muted=bool(ours.get("muted", off and kind == "audio")),
        solo=bool(ours.get("solo", False)),
        hidden=bool(ours.get("hidden", off and kind == "video")),
    )


def _clips(track: Json, reading: _Reading) -> list[Clip]:
    """A track's clips at their places; `source_range` of the track cuts what is outside it."""
    kind = "Audio" if track.get("kind") == "Audio" else "Video"
    at, since, clips = 0, len(reading.markers), []
    for child in track.get("children") or []:
        if _kind(child) == "Transition":
            label = child.get("name") or child.get("transition_type") or "unnamed"
            reading.say(f'the transition "{label}" becomes a cut')
            continue
        length, found = _child(child, at, kind, reading)
        clips += found
        at += length
    window = track.get("source_range")
    reading.markers[since:] = _moved(reading.markers[since:], 0, window, reading.rate)
    return _cut(clips, window, reading.rate)


def _cut(clips: list[Clip], window: Json | None, rate: Fraction) -> list[Clip]:
    """What a window leaves of clips, counted from its start."""
    if window is None:
        return clips
    first = _frames(window["start_time"], rate)
    cut = (_within(clip, first, first + _frames(window["duration"], rate)) for clip in clips)
    return [clip for clip in cut if clip is not None]


def _child(child: Json, at: int, kind: str, reading: _Reading) -> tuple[int, list[Clip]]:
    """How long a child of a track of a kind is, and the clips in it, placed."""
    schema = _kind(child)
    if schema == "Clip":
        return _clip(child, at, reading)
    if schema in ("Stack", "Track"):
        return _nested(child, at, kind, reading)
    window = child.get("source_range")
    length = 0 if window is None else _frames(window["duration"], reading.rate)
    if schema == "Gap":
        _read_notes(child, at, 0 if window is None else _frames(window["start_time"], reading.rate), "a gap", reading)
    else:
        place = ": a gap of its length stands in its place" if length else ""
        reading.say(f'"{child.get("name", "")}" is a {schema or "thing without a schema"} and is left out{place}')
    return length, []


def _nested(child: Json, at: int, kind: str, reading: _Reading) -> tuple[int, list[Clip]]:
    label = child.get("name") or "unnamed"
    tracks = [child] if _kind(child) == "Track" else list(_tracks_of(child, reading))
    filled = [track for track in tracks if track.get("children")]
    alike = [track for track in filled if (track.get("kind") == "Audio") == (kind == "Audio")] or filled
    since = len(reading.markers)
    inner = _clips(alike[0], reading) if len(alike) == 1 else []
    longest = max((_length(track, reading) for track in filled), default=0)
    window = child.get("source_range") if _kind(child) == "Stack" else None
    first = 0 if window is None else _frames(window["start_time"], reading.rate)
    length = longest - first if window is None else _frames(window["duration"], reading.rate)
    _read_notes(child, 0, 0, f'the nested sequence "{label}"', reading)
    reading.markers[since:] = _moved(reading.markers[since:], at, window, reading.rate)
    if len(alike) > 1:
        reading.say(f'the nested sequence "{label}" has {len(alike)} tracks: a gap of its length stands in its place')
        return length, []
    if filled:
        tail = ", without its tracks of the other kind" if len(filled) > 1 else ""
        reading.say(f'the nested sequence "{label}" is laid out flat{tail}')
    return length, [replace(clip, record_in=clip.record_in + at) for clip in _cut(inner, window, reading.rate)]


def _length(track: Json, reading: _Reading) -> int:
    if track.get("source_range") is not None:
        return _frames(track["source_range"]["duration"], reading.rate)
    quiet = _Reading(rate=reading.rate)
    children = [child for child in track.get("children") or [] if _kind(child) != "Transition"]
    return sum(_child(child, 0, "Video", quiet)[0] for child in children) + _fades(track, reading.rate)


def _fades(track: Json, rate: Fraction) -> int:
    """Frames that fades at its ends add to the length of a track."""
    children = track.get("children") or [{}]
    ends = ((children[0], "in_offset"), (children[-1], "out_offset"))
    offsets = [child.get(side) for child, side in ends if _kind(child) == "Transition"]
    return sum(_frames(offset, rate) for offset in offsets if offset is not None)


def _within(clip: Clip, first: int, stop: int) -> Clip | None:
    """What is left of a clip in a window, counted from the window's start."""
    start, end = max(clip.record_in, first), min(clip.record_out, stop)
    if end <= start:
        return None
    source = FrameRange(start=clip.source.start + start - clip.record_in, stop=clip.source.stop - clip.record_out + end)
    return replace(clip, source=source, record_in=start - first)


def _clip(child: Json, at: int, reading: _Reading) -> tuple[int, list[Clip]]:
    """How long a clip is in its track, and what can be shown of it there."""
    ours = _ours(child)
    label = str(child.get("name") or "unnamed")
    references = child.get("media_references") or {ORIGINAL: child.get("media_reference")}
    shown = ORIGINAL if ours else child.get("active_media_reference_key") or ORIGINAL
    original = references.get(shown) or references.get(ORIGINAL) or {}
    window = child.get("source_range") or original.get("available_range")
    if window is None:
        reading.say(f'the clip "{label}" has neither a range nor media with one, and is left out')
        return 0, []
    if not ours and len(references) > 1:
        others = ", ".join(sorted(str(key) for key in references if key != shown))
        reading.say(f'the clip "{label}" has other media ({others}), which are left out')
    origin = _frames(window["start_time"], reading.rate)
    _read_notes(child, at, origin, f'the clip "{label}"', reading)
    length = _frames(window["duration"], reading.rate)
    if length < 1:
        reading.say(f'the clip "{label}" is shorter than a frame and is left out')
        return 0, []
    whole = length
    media = _media_ref(ours["media"]) if "media" in ours else _foreign_media(original, window, label, reading)
    start = origin - media.start_frame
    start, length = _inside(start, length, media, label, reading)
    source = FrameRange(start=start, stop=start + length)
    stem = PurePath(media.path).stem or "clip"
    clip_id = reading.fresh(str(ours.get("id") or stem))
    takes = tuple(_takes(references))
    active = ours.get("active_take")
    clip = Clip(
        id=clip_id,
        media=media,
        source=source,
        record_in=at,
        takes=takes,
        active_take=active if any(take.name == active for take in takes) else None,
        name=str(ours["name"]) if "name" in ours else (label if label != PurePath(media.path).name else ""),
        link=ours.get("link"),
        enabled=child.get("enabled") is not False,
    )
    return whole, [clip]


def _read_notes(item: Json, at: int, origin: int, label: str, reading: _Reading) -> None:
    """Markers of an item that begins at a frame and counts from `origin`; its effects are said."""
    for marker in item.get("markers") or []:
        _add_marker(marker, at, origin, reading)
    for effect in item.get("effects") or []:
        kind = _kind(effect)
        if kind == "LinearTimeWarp":
            reading.say(f"{label} plays at {effect.get('time_scalar', 1)} times its speed there, and at 1 here")
        elif kind in ("FreezeFrame", "TimeEffect"):
            reading.say(f"{label} is retimed ({kind}) there, and plays at its own speed here")
        elif effect.get("effect_name") != "julnet.redub":
            shown = effect.get("name") or effect.get("effect_name") or kind
            reading.say(f'the effect "{shown}" of {label} is left out')


def _say_metadata(document: Json, reading: _Reading) -> None:
    """What other programs noted about their own things."""
    found = {str(key) for value in _walk(document) for key in _metadata(value) if value.get("OTIO_SCHEMA")}
    others = sorted(found - {"julnet"})
    if others:
        reading.say(f"what other programs noted ({', '.join(others)}) is left out")


def _metadata(value: Json) -> Json:
    found = value.get("metadata")
    return found if isinstance(found, dict) else {}


def _moved(markers: list[Marker], at: int, window: Json | None, rate: Fraction) -> list[Marker]:
    """Markers of a part that begins at a frame; those outside the part's window are not seen."""
    first = 0 if window is None else _frames(window["start_time"], rate)
    stop = None if window is None else first + _frames(window["duration"], rate)
    seen = (m for m in markers if window is None or (stop is not None and first <= m.frame < stop))
    return [replace(marker, frame=marker.frame + at - first) for marker in seen]


def _from_zero(markers: list[Marker]) -> list[Marker]:
    return [replace(marker, frame=max(marker.frame, 0)) for marker in markers]


def _foreign_media(reference: Json, window: Json, label: str, reading: _Reading) -> MediaRef:
    kind = _kind(reference)
    available = reference.get("available_range") or window
    start, length = _frames(available["start_time"], reading.rate), _frames(available["duration"], reading.rate)
    native = _rate(available["duration"]["rate"])
    if kind == "ExternalReference" and reference.get("target_url"):
        path = path_of_url(str(reference["target_url"]))
    elif kind == "ImageSequenceReference":
        digits = int(reference.get("frame_zero_padding") or 0)
        pattern = f"{reference.get('name_prefix', '')}%0{digits}d{reference.get('name_suffix', '')}"
        path = path_of_url(str(reference.get("target_url_base", ""))).rstrip("/") + "/" + pattern
    else:
        path = label
        if kind in ("", "MissingReference"):
            reading.say(f'the media of the clip "{label}" is missing: relink it')
        else:
            reading.say(f'the media of the clip "{label}" is a {kind}, which is shown as missing')
    if reference.get("available_range") is None:  # how much there is around the clip is not known
        length = max(length, 1)
    return MediaRef(
        path=path,
        frame_count=max(length, 1),
        rate=reading.rate,
        native_rate=None if native == reading.rate else native,
        start_frame=start,
    )


def _inside(start: int, length: int, media: MediaRef, label: str, reading: _Reading) -> tuple[int, int]:
    """A clip's range, moved into what the media has."""
    if start >= 0 and start + length <= media.frame_count:
        return start, length
    if length > media.frame_count:
        sentence = f'the clip "{label}" is {length} frames long and its media {media.frame_count}: it is cut to that'
        reading.say(sentence)
        return 0, media.frame_count
    reading.say(f'the clip "{label}" reaches outside its media: it is moved inside')
    return min(max(start, 0), media.frame_count - length), length


def _takes(references: Json) -> Iterator[TakeRef]:
    for key, reference in references.items():
        ours = _ours(reference or {})
        if key != ORIGINAL and "folder" in ours:
            first, stop = ours["frames"]
            yield TakeRef(
                name=str(key),
                folder=str(ours["folder"]),
                frames=FrameRange(start=int(first), stop=int(stop)),
                title=str(ours.get("title", "")),
                rating=int(ours.get("rating", 0)),
                note=str(ours.get("note", "")),
            )


def _add_marker(document: Json, at: int, origin: int, reading: _Reading) -> None:
    marked = document["marked_range"]
    frame = at + _frames(marked["start_time"], reading.rate) - origin
    length = _frames(marked["duration"], reading.rate)
    if length > 1:
        reading.say(f'the marker "{document.get("name", "")}" is {length} frames long there, and one here')
    note = document.get("comment") or ""
    reading.markers.append(
        Marker(
            frame=frame,
            name=str(document.get("name") or ""),
            note=str(note),
            colour=str(document.get("color") or "RED"),
        )
    )


def path_of_url(url: str) -> str:
    """The path in a target_url: a bare path, or a file URL."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        path = unquote(parts.path)
        return path[1:] if len(path) > 2 and path[0] == "/" and path[2] == ":" else path
    return url


def _item(value: Json) -> BinItem:
    return BinItem(
        id=str(value["id"]),
        media=_media_ref(value["media"]),
        kind=str(value.get("kind", "video")),
        has_audio=bool(value.get("has_audio", False)),
        width=int(value.get("width", 0)),
        height=int(value.get("height", 0)),
        codec=str(value.get("codec", "")),
        drop_frame=bool(value.get("drop_frame", False)),
        sample_rate_hz=int(value.get("sample_rate_hz", 0)),
        channels=int(value.get("channels", 0)),
        note=str(value.get("note", "")),
        folder=str(value.get("folder", "")),
    )


def _media_ref(value: Json) -> MediaRef:
    native = value.get("native_rate")
    return MediaRef(
        path=str(value["path"]),
        frame_count=int(value["frame_count"]),
        rate=Fraction(value["rate"]),
        native_rate=None if native is None else Fraction(native),
        start_frame=int(value.get("start_frame", 0)),
    )


def _with_missing_items(project: Project) -> Project:
    """Every medium of the timeline is in the bin."""
    known = {item.media.path for item in project.media}
    for track in project.timeline.tracks:
        for clip in track.clips:
            if clip.media.path not in known:
                known.add(clip.media.path)
                stem = PurePath(clip.media.path).stem or "media"
                item = BinItem(id=fresh_id(project, stem), media=clip.media, kind=track.kind)
                project = replace(project, media=(*project.media, item))
    return project


def _ordered(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    return tuple(sorted(tracks, key=lambda track: track.kind != "video"))


def _with_both_kinds(tracks: tuple[Track, ...], reading: _Reading) -> tuple[Track, ...]:
    """A timeline has a track of either kind to work with."""
    extra = [
        replace(track, id=reading.fresh(track.id))
        for track in (default_tracks()[0], default_tracks()[2])
        if all(other.kind != track.kind for other in tracks)
    ]
    return _ordered((*tracks, *extra))


def _rate_of(document: Json) -> Fraction:
    """The rate that a document counts at: of its start, or of the first time in it."""
    start = document.get("global_start_time")
    if start is not None:
        return _rate(start["rate"])
    for value in _walk(document.get("tracks")):
        if value.get("OTIO_SCHEMA", "").startswith("TimeRange."):
            return _rate(value["duration"]["rate"])
    return Fraction(25)


def _walk(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)


def _rate(value: float) -> Fraction:
    """A rate from its decimals: 29.97 is 30000/1001."""
    if not math.isfinite(value) or value <= 0:
        raise ValueError(f"a rate of {value}")
    near = next((rate for rate in _RATES if abs(float(rate) - value) < 0.005), None)
    return near if near is not None else Fraction(value).limit_denominator(1000)


def _frames(value: Json, rate: Fraction) -> int:
    """A RationalTime in frames of a rate."""
    own = _rate(value["rate"])
    if not math.isfinite(value["value"]):
        raise ValueError(f"a time of {value['value']}")
    return round(Fraction(value["value"]) if own == rate else Fraction(value["value"]) / own * rate)


def _kind(value: Json | None) -> str:
    return str((value or {}).get("OTIO_SCHEMA", "")).partition(".")[0]


def _ours(value: Json) -> Json:
    found = (value.get("metadata") or {}).get("julnet")
    return found if isinstance(found, dict) else {}
