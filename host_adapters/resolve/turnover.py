"""A clip with its take as files that Resolve imports: an OTIO of the shape that it accepts, and FCP7 XML.

Resolve's `ImportTimelineFromFile` returns None, without a word, unless ranges lie on the media's own timecode,
references are `Clip.2` with an active key, paths are bare, and tracks have the names that it gives itself. Image
sequences do not work there: give movies. Standard library only and Python 3.7 syntax.
"""

from __future__ import annotations

import json
import os
from fractions import Fraction
from typing import Any

from host_adapters.base import ClipRef, FinishedTake, Span


def otio_timeline(clip: ClipRef, take: FinishedTake, *, name: str, start_frame: int = 0) -> str:
    """One video track with the clip, its original and its take as media references, and its spans as markers."""
    rate = float(clip.record_rate)
    zero = timecode_frames(clip.start_timecode, clip.source_rate)
    source = _range(zero + clip.source.start.index, len(clip.source), clip.source_rate)
    item = {
        "OTIO_SCHEMA": "Clip.2",
        "name": clip.name,
        "source_range": source,
        "enabled": True,
        "effects": [],
        "markers": [_marker(span, zero, clip) for span in take.spans if len(span.frames.clipped(clip.source))],
        "media_references": {
            "original": _reference(clip.path, zero, len(clip.media), clip.source_rate),
            "julnet": _reference(take.picture, zero + take.frames.start.index, len(take.frames), take.rate),
        },
        "active_media_reference_key": "julnet",
        "metadata": {"julnet": {"take": take.folder}},
    }
    gap = {
        "OTIO_SCHEMA": "Gap.1",
        "name": "",
        "source_range": _range(0, clip.record.start.index, clip.record_rate),
        "enabled": True,
        "effects": [],
        "markers": [],
        "metadata": {},
    }
    children = [gap, item] if clip.record.start.index else [item]
    track = {**_container("Track.1", "Video 1", children), "kind": "Video"}
    document = {
        "OTIO_SCHEMA": "Timeline.1",
        "name": name,
        "global_start_time": _time(start_frame, rate),
        "tracks": _container("Stack.1", "tracks", [track]),
        "metadata": {},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def fcp7_xml(clip: ClipRef, take: FinishedTake, *, name: str, size: tuple[int, int]) -> str:
    """The clip on V1 and its take on V2, for programs that import neither takes nor OTIO."""
    tracks = [
        _xml_track("original", clip.name, clip.path, clip, 0, len(clip.media), clip.source.start.index, ()),
        _xml_track(
            "take", take.name, take.picture, clip, take.frames.start.index, len(take.frames),
            clip.source.start - take.frames.start, take.spans,
        ),
    ]  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE xmeml>\n<xmeml version="5"><sequence>'
        f"<name>{escape(name)}</name><duration>{clip.record.stop.index}</duration>{_xml_rate(clip.record_rate)}"
        "<media><video><format><samplecharacteristics>"
        f"<width>{size[0]}</width><height>{size[1]}</height></samplecharacteristics></format>"
        f"{''.join(tracks)}</video></media></sequence></xmeml>\n"
    )


def timecode_frames(timecode: str | None, rate: Fraction) -> int:
    """Frames since 00:00:00:00 of a timecode; ";" before the frames is drop-frame."""
    if not timecode:
        return 0
    hours, minutes, seconds, frames = (int(part) for part in timecode.replace(";", ":").split(":"))
    base = round(rate)
    total = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if ";" in timecode:
        whole = hours * 60 + minutes
        total -= base // 15 * (whole - whole // 10)
    return total


def escape(text: str) -> str:
    """Text as XML has it; `xml.sax` would load a network library for this."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _container(schema: str, name: str, children: list[Any]) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": schema,
        "name": name,
        "source_range": None,
        "enabled": True,
        "effects": [],
        "markers": [],
        "children": children,
        "metadata": {},
    }


def _reference(path: str, start: int, frames: int, rate: Fraction) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "ExternalReference.1",
        "name": os.path.basename(path),
        "target_url": path,
        "available_range": _range(start, frames, rate),
        "available_image_bounds": None,
        "metadata": {},
    }


def _marker(span: Span, zero: int, clip: ClipRef) -> dict[str, Any]:
    inside = span.frames.clipped(clip.source)
    return {
        "OTIO_SCHEMA": "Marker.2",
        "name": f"JULNet: expect ±{span.expected_cv:.0f} of 255",
        "comment": span.note,
        "color": "RED",
        "marked_range": _range(zero + inside.start.index, len(inside), clip.source_rate),
        "metadata": {"julnet": {"expected_cv": span.expected_cv}},
    }


def _range(start: int, frames: int, rate: Fraction) -> dict[str, Any]:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(start, float(rate)),
        "duration": _time(frames, float(rate)),
    }


def _time(value: int, rate: float) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(value)}


def _xml_rate(rate: Fraction) -> str:
    ntsc = "TRUE" if rate.denominator == 1001 else "FALSE"
    return f"<rate><timebase>{round(rate)}</timebase><ntsc>{ntsc}</ntsc></rate>"


def _xml_track(
    key: str, name: str, path: str, clip: ClipRef, first: int, count: int, start: int, spans: tuple[Span, ...]
) -> str:
    """A track with one clip item; its in and out points count from the file's first frame."""
    rate = _xml_rate(clip.source_rate)
    zero = timecode_frames(clip.start_timecode, clip.source_rate) + first
    form = "DF" if ";" in (clip.start_timecode or "") else "NDF"
    marks = "".join(
        f"<marker><name>JULNet</name><comment>{escape(span.note)}</comment>"
        f"<in>{span.frames.start.index - first}</in><out>{span.frames.stop.index - first}</out></marker>"
        for span in spans
    )
    return (
        f'<track><clipitem id="{key}"><name>{escape(name)}</name><duration>{count}</duration>{rate}'
        f"<start>{clip.record.start.index}</start><end>{clip.record.stop.index}</end>"
        f"<in>{start}</in><out>{start + len(clip.source)}</out>"
        f'<file id="{key}-file"><name>{escape(os.path.basename(path))}</name>'
        f"<pathurl>{escape(file_url(path))}</pathurl>"
        f"{rate}<duration>{count}</duration><timecode>{rate}<frame>{zero}</frame>"
        f"<displayformat>{form}</displayformat></timecode><media><video/></media></file>{marks}</clipitem></track>"
    )


def file_url(path: str) -> str:
    """A path as "file://localhost/…", also one of Windows or of a network share."""
    from urllib.parse import quote

    plain = path.replace("\\", "/") if path[1:3] == ":\\" or path.startswith("\\\\") else path
    if plain.startswith("//"):
        return "file:" + quote(plain, safe="/")
    return "file://localhost/" + quote(plain.lstrip("/"), safe="/:")
