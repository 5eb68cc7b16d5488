"""A clip in a timeline of another program (OpenTimelineIO): which frames of which plate it shows; the take beside it.

OpenTimelineIO is imported late; its own format needs nothing else, others need an adapter (FCP7 XML, EDL, AAF …).

Convention:
    A plate frame counts from 0 at the medium's first frame. A timeline counts in the medium's own labels: `origin` is
    the label of the first frame, at the plate's rate, so plate frame = label - origin.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from julnet_plugin.errors import InputError, MediaError, TimeRangeError
from julnet_plugin.types import FrameRange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from julnet_plugin.types import MediaInfo, Take

KEY = "julnet"  #: of our metadata
TRACK = "JULNet"
ORIGINAL = "original"  #: key of the media reference that a clip had before it had takes
EDL = ".edl"
_MOST_FRAMES = 60.0  #: of a second, in timecode
NATIVE = (".otio", ".otioz", ".otiod")
PLACES = ("track", "reference")
_SOUNDING = ("prores", "prores4444", "h264")  #: deliveries with the new line in them
_CONTENT = "content.otio"  #: of a bundle
_MOST_BYTES = 256 * 1024 * 1024  #: of a timeline that an adapter reads
_NTSC = Fraction(1000, 1001)


class TimelineError(InputError):
    """A timeline, or the clip in it, cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class TimelineClip:
    """A clip that can be re-dubbed."""

    document: Any  #: everything that the file holds
    clip: Any
    path: Path  #: of the timeline
    plate: Path
    rate: Fraction  #: of the plate
    origin: int  #: label of the plate's first frame
    shown: FrameRange  #: plate frames that the clip shows
    frames: FrameRange  #: those and what transitions and handles need: what a take should hold


def read_clip(path: Path, name: str, handles: int = 0) -> TimelineClip:
    """Find a clip in a timeline.

    Args:
        path: the timeline.
        name: of the clip; "NAME#2" is the second of that name.
        handles: frames of the plate to take on each side, as far as there are any.

    Raises:
        TimelineError: no timeline, no such clip, several of them, or one that is retimed.
        MediaError: its medium is not there.
        TimeRangeError: it shows frames that the medium does not have.
    """
    from julnet_plugin.media.probe import probe

    document = read_timeline(path)
    clip = choose(_video_clips(document), name, path, _place)
    _refuse_retimed(clip, name)
    _refuse_unmeasured(clip, name)
    plate = _plate_of(clip, name, path)
    info = probe(plate, _rate(clip.trimmed_range().start_time.rate) if "#" in plate.name else None)
    if path.suffix.lower() == EDL:  # now that the rate is known in which its timecodes count
        document = read_timeline(path, info.rate)
        clip = choose(_video_clips(document), name, path, _place)
    source = clip.trimmed_range()
    origin = _origin(clip, info)
    shown = _inside(_frames(source, info.rate, origin), info, name)
    seen = _frames(clip.visible_range(), info.rate, origin)
    frames = FrameRange(
        start=max(min(seen.start, shown.start) - handles, 0),
        stop=min(max(seen.stop, shown.stop) + handles, info.frame_count),
    )
    return TimelineClip(document, clip, path, plate, info.rate, origin, shown, frames)


def read_timeline(path: Path, rate: Fraction | None = None) -> Any:
    """Read a timeline of any format that an adapter is there for.

    Args:
        path: the timeline.
        rate: in which an EDL counts, which does not say so itself; None = unknown: its times are not to be used then.

    Raises:
        TimelineError: it cannot be read.
    """
    otio = _otio()
    if not path.is_file() and path.suffix != ".otiod":
        raise TimelineError(f"there is no timeline {path}: check the name")
    if path.suffix.lower().lstrip(".") not in otio.adapters.suffixes_with_defined_adapters(read=True):
        raise TimelineError(
            f"no OpenTimelineIO adapter here reads {path.suffix or 'files without a suffix'}: save {path.name} as "
            ".otio, or install its adapter (XML: otio-fcp-adapter, EDL: otio-cmx3600-adapter, AAF: otio-aaf-adapter)"
        )
    _refuse_hostile(path)
    try:
        document = otio.adapters.read_from_file(str(path), **_edl_options(otio, path, rate))
    except Exception as exc:  # noqa: BLE001 - adapters raise what they like
        said = " ".join(str(exc).split())[:160]
        raise TimelineError(f"{path} cannot be read as a timeline ({said}): save it again as .otio") from None
    if not hasattr(document, "find_clips"):
        raise TimelineError(f"{path} holds no timeline: save it again as .otio")
    return document


def _refuse_hostile(path: Path) -> None:
    """Refuse what would cost the process: OpenTimelineIO's parser is C++, and nesting without end overflows its stack.

    Raises:
        TimelineError: it is too large or too deep, or no JSON where it should be.
    """
    import zipfile

    from julnet_plugin.errors import SettingsError
    from julnet_plugin.untrusted import read_json

    document: Any = {".otiod": path / _CONTENT, ".otio": path}.get(path.suffix.lower())
    try:
        if path.suffix.lower() == ".otioz":
            document = zipfile.Path(str(path), _CONTENT)
        if document is not None:
            read_json(document, "a timeline")
        large = document is None and path.stat().st_size > _MOST_BYTES
    except (SettingsError, zipfile.BadZipFile, KeyError, OSError) as exc:
        said = " ".join(str(exc).split())
        raise TimelineError(f"{path} cannot be read as a timeline ({said}): save it again as .otio") from None
    if large:
        raise TimelineError(f"{path} is larger than {_MOST_BYTES >> 20} MiB, which no timeline is: check the file")


def _edl_options(otio: Any, path: Path, rate: Fraction | None) -> dict[str, float]:
    """What the EDL's adapter needs: a rate in which every one of its timecodes is one."""
    if path.suffix.lower() != EDL:
        return {}
    if rate is None:
        return {"rate": _MOST_FRAMES}
    return {"rate": otio.opentime.RationalTime.nearest_valid_timecode_rate(float(rate))}


def output_of(path: Path, wanted: Path | None) -> Path:
    """Where a timeline goes: where the user says; else to where it was, or beside it as .otio where its format forgets.

    Raises:
        TimelineError: that cannot be written.
    """
    out = wanted or (path if path.suffix.lower() in NATIVE else path.with_name(f"{path.stem}.julnet.otio"))
    suffix = out.suffix.lower().lstrip(".")
    if suffix not in _otio().adapters.suffixes_with_defined_adapters(write=True):
        raise TimelineError(f"no OpenTimelineIO adapter here writes {out.suffix or out.name}: choose a name with .otio")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise TimelineError(
            f"the folder {out.parent.absolute()} is missing or read-only: choose another --timeline-out"
        )
    return out


def add_take(found: TimelineClip, take: Take, out: Path, place: str = "track") -> Any:
    """Put a take beside a clip; what the timeline held stays as it is.

    On a track, the take brings its new line: where the clip's own sound lies on the timeline, the line is laid beside
    it, and that sound is disabled.

    Args:
        found: the clip.
        take: finished.
        out: where the timeline will be written: relative paths are relative to it.
        place: "track": a clip of its own on a track above; "reference": another medium of the clip, the active one.

    Returns:
        The clip that shows the take.
    """
    otio = _otio()
    start, stop = take.manifest["plate"]["frame_range"]
    frames = FrameRange(start=start, stop=stop)
    medium = _medium(found, take, frames, out)
    if place == "reference":
        clip = found.clip
        references = clip.media_references()
        if not any(name.startswith(f"{KEY}:") for name in references):
            references = {ORIGINAL: references[clip.active_media_reference_key]} | {
                key: value for key, value in references.items() if key != clip.active_media_reference_key
            }
        key = _fresh(f"{KEY}:{take.path.name}", references)
        clip.set_media_references({**references, key: medium}, key)
    else:
        clip = otio.schema.Clip(
            name=f"{found.clip.name} {take.path.name}",
            media_reference=medium,
            source_range=_labels(found, found.shown),
            metadata={KEY: {"role": "take", "of": found.clip.name, "take": _written(take.path, found, out)}},
        )
        _lay(otio, found.clip, clip, found.clip.range_in_parent())
        _lay_sound(otio, found, take, frames, out)
    clip.markers.extend(_markers(otio, found, take.manifest.get("review", [])))
    return clip


def write_timeline(document: Any, out: Path) -> None:
    """Write a timeline, whole or not at all.

    Raises:
        TimelineError: the format cannot hold it, or the disk says no.
    """
    temporary = out.with_name(f".{out.stem}.{os.getpid()}{out.suffix}")
    try:
        _otio().adapters.write_to_file(document, str(temporary))
        temporary.replace(out)
    except Exception as exc:  # noqa: BLE001 - adapters raise what they like
        said = " ".join(str(exc).split())[:160]
        raise TimelineError(f"{out} cannot be written ({said}): choose a --timeline-out with .otio") from None
    finally:
        temporary.unlink(missing_ok=True)


def _otio() -> Any:
    try:
        import opentimelineio
    except ImportError:
        raise TimelineError(
            'timelines need OpenTimelineIO, which is not installed here: pip install "julnet[timeline]"'
        ) from None
    return opentimelineio


def _video_clips(document: Any) -> list[Any]:
    """Every clip on a video track, in the file's order."""
    otio = _otio()
    found = []
    for item in document.find_clips():
        track = item.parent()
        while track is not None and not isinstance(track, otio.schema.Track):
            track = track.parent()
        if track is None or track.kind == otio.schema.TrackKind.Video:
            found.append(item)
    return found


def choose(clips: Sequence[Any], name: str, path: Path, place: Callable[[Any], str]) -> Any:
    """The clip of a name among several.

    Args:
        clips: each with a `name`.
        name: of the clip; "NAME#2" is the second of that name.
        path: of the timeline.
        place: where a clip lies, for a person.

    Raises:
        TimelineError: there is none, or there are several.
    """
    named = [clip for clip in clips if clip.name == name]
    match = re.fullmatch(r"(.+)#([1-9]\d*)", name)
    if not named and match:
        same = [clip for clip in clips if clip.name == match[1]]
        if int(match[2]) <= len(same):
            return same[int(match[2]) - 1]
        named, name = [], match[1] if not same else name
    if len(named) == 1:
        return named[0]
    if named:
        places = ", ".join(f"{name}#{k} {place(clip)}" for k, clip in enumerate(named[:5], 1))
        raise TimelineError(f"{path.name} has {len(named)} clips called {name!r}: say which, {places}")
    known = sorted({clip.name for clip in clips if clip.name})
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    advice = (
        f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, known[:8])) or 'no named clips'}"
    )
    raise TimelineError(f"{path.name} has no clip called {name!r}; {advice}")


def _place(clip: Any) -> str:
    """Where a clip lies, for a person."""
    where = getattr(clip.parent(), "name", "") or "its track"
    try:
        at = clip.range_in_parent().start_time
    except _otio().exceptions.OTIOError:
        return f"on {where}"
    return f"on {where} at {at.value / at.rate:.2f} s"


def _refuse_retimed(clip: Any, name: str) -> None:
    otio = _otio()
    item = clip
    while item is not None:
        for effect in getattr(item, "effects", ()):
            if isinstance(effect, otio.schema.FreezeFrame):
                speed = "a freeze frame"
            elif isinstance(effect, otio.schema.LinearTimeWarp):
                if effect.time_scalar == 1:
                    continue
                speed = f"retimed to {effect.time_scalar * 100:g} %"
            elif isinstance(effect, otio.schema.TimeEffect):
                speed = f"retimed ({effect.effect_name or effect.name or 'a time effect'})"
            else:
                continue
            raise TimelineError(
                f"the clip {name!r} is {speed} and a clip at its own speed is needed: remove the retime, or render "
                "it in place and re-dub the result"
            )
        item = item.parent()


def _refuse_unmeasured(clip: Any, name: str) -> None:
    """Refuse a clip of which the timeline does not say what it shows, or where it lies."""
    try:
        clip.trimmed_range()
        clip.range_in_parent()
    except _otio().exceptions.OTIOError:
        raise TimelineError(
            f"the timeline does not say which frames the clip {name!r}, or one before it, shows: give it a source "
            "range, or save the timeline again from the program that cut it"
        ) from None


def _plate_of(clip: Any, name: str, timeline: Path) -> Path:
    """The medium that a clip shows: what it had before it had takes."""
    otio = _otio()
    references = clip.media_references() if hasattr(clip, "media_references") else {}
    reference = references.get(ORIGINAL) if any(k.startswith(f"{KEY}:") for k in references) else clip.media_reference
    if isinstance(reference, otio.schema.ExternalReference):
        text = reference.target_url
    elif isinstance(reference, otio.schema.ImageSequenceReference):
        digits = "#" * max(reference.frame_zero_padding, 1)
        base = reference.target_url_base
        slash = "" if base.endswith("/") or not base else "/"
        text = f"{base}{slash}{reference.name_prefix}{digits}{reference.name_suffix}"
    else:
        raise MediaError(f"the clip {name!r} shows no file (offline, or a generator): link its medium in the timeline")
    path = timeline.absolute().parent / path_of_url(text)
    there = _sequence_exists(path) if "#" in path.name else path.is_file()
    if not there:
        raise MediaError(
            f"the medium of the clip {name!r} is not at {path}: it was moved or its disk is not mounted; relink it",
            path,
        )
    return path


def path_of_url(text: str) -> Path:
    """The path in a target URL: a bare path, "file:///a%20b.mov", "file://localhost/…" or "file:///C:/…"."""
    if not text.lower().startswith("file:"):
        return Path(text)
    parts = urlsplit(text.replace("#", "%23").replace("?", "%3F"))
    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    path = unquote(parts.path)
    return Path(path[1:] if re.match(r"/[A-Za-z]:/", path) else host + path)


def _sequence_exists(pattern: Path) -> bool:
    name = re.sub(r"(?:\\#)+", r"\\d+", re.escape(pattern.name))
    return pattern.parent.is_dir() and any(re.fullmatch(name, path.name) for path in pattern.parent.iterdir())


def _rate(value: float) -> Fraction:
    """A rate as OpenTimelineIO says it, a float, as the fraction that was meant."""
    whole = Fraction(math.ceil(value - 0.01))
    if abs(value - whole * _NTSC) < 0.005 * whole / 24 and abs(value - whole) > 1e-6:
        return whole * _NTSC
    return Fraction(value).limit_denominator(1001)


def _count(time: Any, rate: Fraction) -> Fraction:
    """A time in frames of a rate; labels at 24 and at 23.976 are the same labels."""
    own = _rate(time.rate)
    value = Fraction(time.value).limit_denominator(1_000_000)
    return value if abs(own / rate - 1) <= Fraction(1, 900) else value * rate / own


def _frames(span: Any, rate: Fraction, origin: int) -> FrameRange:
    slack = Fraction(1, 100)
    start = _count(span.start_time, rate) - origin
    first = math.floor(start + slack)
    last = math.ceil(start + _count(span.duration, rate) - slack)
    return FrameRange(start=max(first, 0), stop=max(first, last, 0))


def _origin(clip: Any, info: MediaInfo) -> int:
    """The label of the medium's first frame: as the clip says, else the medium's timecode where that fits, else 0."""
    from julnet_plugin.media.timecode import start_of

    reference = clip.media_reference
    available = getattr(reference, "available_range", None)
    if available is not None:
        return round(_count(available.start_time, info.rate))
    first = start_of(info).frame
    start = _count(clip.trimmed_range().start_time, info.rate)
    return first if first <= start else 0


def _inside(frames: FrameRange, info: MediaInfo, name: str) -> FrameRange:
    if frames.start >= info.frame_count or frames.stop > info.frame_count or len(frames) == 0:
        raise TimeRangeError(
            f"the clip {name!r} shows frames {frames.start} to {frames.stop - 1} of {info.path.name}, which has frames "
            f"0 to {info.frame_count - 1}: relink the clip to the medium that it was cut from",
            requested=(frames.start, frames.stop),
            available=(0, info.frame_count),
        )
    return frames


def _labels(found: TimelineClip, frames: FrameRange) -> Any:
    """Plate frames as a range of labels, at the rate that the clip's own range is written in where that is the same."""
    otio = _otio()
    time = found.clip.trimmed_range().start_time
    rate = time.rate if abs(_rate(time.rate) / found.rate - 1) <= Fraction(1, 900) else float(found.rate)
    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(found.origin + frames.start, rate), otio.opentime.RationalTime(len(frames), rate)
    )


def _medium(found: TimelineClip, take: Take, frames: FrameRange, out: Path) -> Any:
    """The take's picture as a media reference with the plate's own labels, which its timecode has too."""
    otio = _otio()
    files = take.files
    kind = next((name for name in (*_SOUNDING, "png", "exr") if name in files), None)
    if kind is None:
        raise TimelineError(f"the take {take.path} holds no picture: deliver prores, h264, png or exr")
    available = _labels(found, frames)
    metadata = {KEY: {"take": _written(take.path, found, out), "frames": [frames.start, frames.stop]}}
    name = f"{take.path.name}/{files[kind]}"
    if "#" not in files[kind]:
        url = _written(take.path / files[kind], found, out)
        return otio.schema.ExternalReference(target_url=url, available_range=available, metadata=metadata)
    folder, _, pattern = files[kind].rpartition("/")
    before, digits, after = pattern.partition("#" * pattern.count("#"))
    reference = otio.schema.ImageSequenceReference(
        target_url_base=_written(take.path / folder, found, out) + "/",
        name_prefix=before,
        name_suffix=after,
        start_frame=int(take.manifest["plate"].get("first_number", frames.start)),
        frame_zero_padding=len(digits),
        rate=available.start_time.rate,
        available_range=available,
        metadata=metadata,
    )
    reference.name = name
    return reference


def _written(path: Path, found: TimelineClip, out: Path) -> str:
    """A path as this timeline writes its media: a file URL, relative, or absolute."""
    reference = found.clip.media_reference
    sample = str(getattr(reference, "target_url", None) or getattr(reference, "target_url_base", ""))
    if sample.lower().startswith("file:"):
        return "file://" + quote(path.absolute().as_posix())
    if sample and not Path(sample).is_absolute():
        return Path(os.path.relpath(path.absolute(), out.absolute().parent)).as_posix()
    return str(path.absolute())


def _fresh(key: str, used: dict[str, Any]) -> str:
    names = [key, *(f"{key}.{number}" for number in range(2, len(used) + 3))]
    return next(name for name in names if name not in used)


def _lay_sound(otio: Any, found: TimelineClip, take: Take, frames: FrameRange, out: Path) -> None:
    """Lay the new line where the clip's own sound lies, and disable that, and the line of an earlier take."""
    own = _own_sounds(otio, found.clip, found)
    if not own or not any(kind in take.files for kind in _SOUNDING):
        return
    told = {"role": "sound", "of": found.clip.name, "take": _written(take.path, found, out)}
    line = otio.schema.Clip(
        name=f"{found.clip.name} {take.path.name}",
        media_reference=_medium(found, take, frames, out),
        source_range=_labels(found, found.shown),
        metadata={KEY: told},
    )
    here = found.clip.range_in_parent()
    for sound in (*own, *_earlier_lines(otio, own[0].parent().parent(), found.clip.name, here)):
        sound.enabled = False
    _lay(otio, own[0], line, here)


def _own_sounds(otio: Any, clip: Any, found: TimelineClip) -> list[Any]:
    """What a clip is heard by: sound of the same medium, in sync with it, that does not reach beyond it."""
    here, begins = clip.range_in_parent(), clip.trimmed_range().start_time
    slack_s = float(Fraction(1, 2) / found.rate)
    own = []
    for track in clip.parent().parent():
        if not isinstance(track, otio.schema.Track) or track.kind != otio.schema.TrackKind.Audio:
            continue
        for sound in track:
            text = getattr(getattr(sound, "media_reference", None), "target_url", "")
            if not text or found.path.absolute().parent / path_of_url(text) != found.plate:
                continue
            there = sound.range_in_parent()
            late_s = (there.start_time - here.start_time).to_seconds()
            ahead_s = (sound.trimmed_range().start_time - begins).to_seconds()
            over_s = (there.end_time_exclusive() - here.end_time_exclusive()).to_seconds()
            if abs(late_s - ahead_s) < slack_s and late_s > -slack_s and over_s < slack_s:
                own.append(sound)
    return own


def _earlier_lines(otio: Any, stack: Any, name: str, here: Any) -> list[Any]:
    """The lines of takes that lie over a clip already."""
    ours = [track for track in stack if isinstance(track, otio.schema.Track) and track.metadata.get(KEY)]
    lines = [line for track in ours for line in track if line.metadata.get(KEY, {}).get("role") == "sound"]
    return [line for line in lines if line.metadata[KEY]["of"] == name and line.range_in_parent() == here]


def _lay(otio: Any, original: Any, clip: Any, here: Any) -> None:
    """Lay a clip beside another at a place in time: on our track just above that one's own, or on a new one."""
    track = original.parent()
    stack = track.parent() if isinstance(track, otio.schema.Track) else track
    place = stack.index(track if isinstance(track, otio.schema.Track) else original)
    above = stack[place + 1] if place + 1 < len(stack) else None
    ours = isinstance(above, otio.schema.Track) and above.metadata.get(KEY, {}).get("role") == "takes"
    if ours and _fill_gap(otio, above, here, clip):
        return
    kind = track.kind if isinstance(track, otio.schema.Track) else otio.schema.TrackKind.Video
    fresh = otio.schema.Track(name=TRACK, kind=kind, metadata={KEY: {"role": "takes"}})
    if here.start_time.value > 0:
        fresh.append(otio.schema.Gap(duration=here.start_time))
    fresh.append(clip)
    stack.insert(place + 1, fresh)


def _fill_gap(otio: Any, track: Any, here: Any, clip: Any) -> bool:
    """Put a clip where a track is empty; False where it isn't."""
    end = track.available_range().duration
    if here.start_time >= end:
        if here.start_time > end:
            track.append(otio.schema.Gap(duration=here.start_time - end))
        track.append(clip)
        return True
    for index, item in enumerate(track):
        span = item.range_in_parent()
        inside = span.start_time <= here.start_time and here.end_time_exclusive() <= span.end_time_exclusive()
        if isinstance(item, otio.schema.Gap) and inside:
            before = here.start_time - span.start_time
            after = span.end_time_exclusive() - here.end_time_exclusive()
            parts = [clip]
            if before.value > 0:
                parts.insert(0, otio.schema.Gap(duration=before))
            if after.value > 0:
                parts.append(otio.schema.Gap(duration=after))
            track[index : index + 1] = parts
            return True
    return False


def _markers(otio: Any, found: TimelineClip, rows: list[dict[str, Any]]) -> list[Any]:
    """The worst spans of a take as markers of its clip, as far as the clip shows them."""
    markers = []
    for row in rows:
        start, stop = max(row["start"], found.shown.start), min(row["stop"], found.shown.stop)
        if start < stop:
            marker = otio.schema.Marker(
                name=f"JULNet ±{row['expected_cv']:.0f}: {', '.join(row['reasons'])}",
                marked_range=_labels(found, FrameRange(start=start, stop=stop)),
                color=otio.schema.MarkerColor.RED,
                metadata={KEY: {key: row[key] for key in ("start", "stop", "peak", "expected_cv", "reasons")}},
            )
            markers.append(marker)
    return markers
