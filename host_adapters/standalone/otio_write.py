"""A project as OpenTimelineIO JSON.

Other programs read tracks, clips, gaps, markers and takes (as media references); what is only ours lies under
`metadata.julnet`.

Convention: times in the file are on the media's own timecode (`MediaRef.start_frame`), as other programs expect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from fractions import Fraction

    from host_adapters.standalone.project import BinItem, Project
    from host_adapters.standalone.timeline import Clip, Marker, MediaRef, TakeRef, Timeline, Track

SCHEMA_VERSION = 2
ORIGINAL = "DEFAULT_MEDIA"  #: OpenTimelineIO's key of the reference that is not a take

Json = dict[str, Any]


def to_otio(project: Project, locate: Callable[[str], str] = str) -> Json:
    """The document.

    Args:
        project: what is saved.
        locate: what to write for a path of the project; for a project's own file the path as it is.
    """
    timeline = project.timeline
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "name": project.name,
        "global_start_time": time(timeline.start_frame, timeline.rate),
        "metadata": {"julnet": _project_metadata(project)},
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "metadata": {},
            "source_range": None,
            "effects": [],
            "enabled": True,
            "markers": [_marker(marker, timeline) for marker in timeline.markers],
            "children": [_track(track, timeline, locate) for track in timeline.tracks],
        },
    }


def time(frame: int, rate: Fraction) -> Json:
    """A RationalTime."""
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(frame)}


def time_range(start: int, length: int, rate: Fraction) -> Json:
    """A TimeRange."""
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": time(start, rate),
        "duration": time(length, rate),
    }


def _project_metadata(project: Project) -> Json:
    timeline = project.timeline
    return {
        "schema_version": SCHEMA_VERSION,
        "width": project.width,
        "height": project.height,
        "rate": str(timeline.rate),
        "drop_frame": timeline.drop_frame,
        "media": [_item(item) for item in project.media],
        "extras": dict(project.extras),
    }


def _item(item: BinItem) -> Json:
    return {
        "id": item.id,
        "media": _media(item.media),
        "kind": item.kind,
        "has_audio": item.has_audio,
        "width": item.width,
        "height": item.height,
        "codec": item.codec,
        "drop_frame": item.drop_frame,
        "sample_rate_hz": item.sample_rate_hz,
        "channels": item.channels,
        "note": item.note,
        "folder": item.folder,
    }


def _media(media: MediaRef) -> Json:
    return {
        "path": media.path,
        "frame_count": media.frame_count,
        "rate": str(media.rate),
        "native_rate": None if media.native_rate is None else str(media.native_rate),
        "start_frame": media.start_frame,
    }


def _track(track: Track, timeline: Timeline, locate: Callable[[str], str]) -> Json:
    children: list[Json] = []
    at = 0
    for clip in track.clips:
        if clip.record_in > at:
            children.append(_gap(clip.record_in - at, timeline.rate))
        children.append(_clip(clip, timeline.rate, locate))
        at = clip.record_out
    switches = {name: True for name in ("locked", "muted", "solo", "hidden") if getattr(track, name)}
    return {
        "OTIO_SCHEMA": "Track.1",
        "name": track.name,
        "kind": track.kind.capitalize(),
        "metadata": {"julnet": {"id": track.id, **switches}},
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": not (track.hidden or track.muted),
        "children": children,
    }


def _gap(length: int, rate: Fraction) -> Json:
    return {
        "OTIO_SCHEMA": "Gap.1",
        "name": "",
        "metadata": {},
        "source_range": time_range(0, length, rate),
        "effects": [],
        "markers": [],
        "enabled": True,
    }


def _clip(clip: Clip, rate: Fraction, locate: Callable[[str], str]) -> Json:
    media = clip.media
    references = {ORIGINAL: _reference(media, locate(media.path))}
    for take in clip.takes:
        references[take.name] = _take_reference(take, media, locate)
    return {
        "OTIO_SCHEMA": "Clip.2",
        "name": clip.title,
        "metadata": {
            "julnet": {
                "id": clip.id,
                "name": clip.name,
                "link": clip.link,
                "media": _media(media),
                "active_take": clip.active_take,
            }
        },
        "source_range": time_range(media.start_frame + clip.source.start, len(clip.source), rate),
        "effects": [_effect(take) for take in clip.takes if take.name == clip.active_take],
        "markers": [],
        "enabled": clip.enabled,
        "media_references": references,
        "active_media_reference_key": clip.active_take or ORIGINAL,
    }


def _reference(media: MediaRef, url: str) -> Json:
    return {
        "OTIO_SCHEMA": "ExternalReference.1" if url else "MissingReference.1",
        "name": "",
        "metadata": {},
        "available_range": time_range(media.start_frame, media.frame_count, media.rate),
        "available_image_bounds": None,
        **({"target_url": url} if url else {}),
    }


def _take_reference(take: TakeRef, media: MediaRef, locate: Callable[[str], str]) -> Json:
    start = media.frame_of_native(take.frames.start)
    length = media.frame_of_native(take.frames.stop) - start
    folder = locate(take.folder)
    return {
        "OTIO_SCHEMA": "ExternalReference.1",
        "name": take.title or take.name,
        "metadata": {
            "julnet": {
                "folder": take.folder,
                "frames": [take.frames.start, take.frames.stop],
                "title": take.title,
                "rating": take.rating,
                "note": take.note,
            }
        },
        "available_range": time_range(media.start_frame + start, length, media.rate),
        "available_image_bounds": None,
        "target_url": f"{folder}/dub.mov",
    }


def _effect(take: TakeRef) -> Json:
    return {
        "OTIO_SCHEMA": "Effect.1",
        "name": take.title or take.name,
        "effect_name": "julnet.redub",
        "enabled": True,
        "metadata": {"julnet": {"take": take.name, "folder": take.folder}},
    }


def _marker(marker: Marker, timeline: Timeline) -> Json:
    return {
        "OTIO_SCHEMA": "Marker.2",
        "name": marker.name,
        "metadata": {},
        "color": marker.colour,
        "comment": marker.note,
        "marked_range": time_range(marker.frame, 0, timeline.rate),
    }
