"""What a movie file is: its frames, clock, tags and streams."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from julnet_plugin.errors import MediaError, TimeRangeError
from julnet_plugin.media.container import describe_audio, open_input, picture_stream, reason
from julnet_plugin.media.rates import nominal_rate_of, steady_rate
from julnet_plugin.media.tags import read_tags
from julnet_plugin.media.timecode import parse_timecode
from julnet_plugin.types import MediaInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

#: Interlace may show only after a progressive-looking first frame; a few are enough in practice.
_FRAMES_LOOKED_AT = 3
#: A file whose last frame is this much shorter than its header promises was cut off.
_SHORTFALL_S = 0.25
_INDEXED = "mov,mp4"  #: container family whose header lists every frame with its place in the file


def probe_movie(path: Path) -> MediaInfo:
    """Read what a movie says of itself, and check it against its packets.

    Raises:
        MediaError: not a movie, no moving picture in it, cut off, or its first frame cannot be decoded.
    """
    with open_input(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise MediaError(_no_picture(container, path), path)
        if getattr(stream, "codec_context", None) is None:  # PyAV's stubs do not know this case
            msg = f"{path.name} is coded in a way that this build cannot decode; convert it to ProRes or H.264"
            raise MediaError(msg, path)
        first = _first_frames(container, stream, path)
        return _describe(container, stream, path, first)


def _no_picture(container: InputContainer, path: Path) -> str:
    if container.streams.audio:
        return f"{path.name} holds sound but no moving picture; give a movie or an image sequence as the plate"
    if all(stream.type in ("data", "unknown") for stream in container.streams):
        return f"nothing in {path.name} can be read: it is cut off or damaged; export or copy it again"
    return f"{path.name} holds no moving picture; give a movie or an image sequence"


@dataclass(frozen=True, slots=True)
class _Start:
    """What the first decoded frames say."""

    frame: av.VideoFrame
    ticks: int | None
    interlaced: bool


def _first_frames(container: InputContainer, stream: VideoStream, path: Path) -> _Start:
    frames: list[av.VideoFrame] = []
    try:
        for frame in container.decode(stream):
            frames.append(frame)
            if len(frames) == _FRAMES_LOOKED_AT:
                break
    except av.FFmpegError as exc:
        if not frames:
            msg = f"no frame of {path.name} can be decoded ({reason(exc)}); it is cut off or damaged, export it again"
            raise MediaError(msg, path) from exc
        log.debug("%s: %s after %d frames", path.name, exc, len(frames))
    if not frames:
        msg = f"no frame of {path.name} can be decoded: it is cut off or damaged; export or copy it again"
        raise MediaError(msg, path)
    return _Start(frames[0], frames[0].pts, any(frame.interlaced_frame for frame in frames))


def _describe(container: InputContainer, stream: VideoStream, path: Path, first: _Start) -> MediaInfo:
    time_base = stream.time_base or Fraction(1, 90_000)
    ticks = _presentation_ticks(path, first)
    stated = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    rate = steady_rate(ticks, time_base, stated)
    times_s = None
    if rate is None:
        rate = nominal_rate_of(ticks, time_base)
        times_s = tuple(float((tick - ticks[0]) * time_base) for tick in ticks)
    timecode = _start_timecode(container, stream, rate)
    frame = first.frame
    pixels = frame.format
    rotation = -frame.rotation % 360
    upright = rotation % 180 == 0
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return MediaInfo(
        path=path,
        kind="movie",
        width=frame.width if upright else frame.height,
        height=frame.height if upright else frame.width,
        rate=rate,
        frame_count=len(ticks),
        frame_times_s=times_s,
        start_timecode=timecode,
        drop_frame=timecode is not None and ";" in timecode,
        bit_depth=pixels.components[0].bits,
        is_float="f32" in pixels.name or "f16" in pixels.name,
        codec=stream.codec_context.name,
        pixel_format=pixels.name,
        has_alpha=any(component.is_alpha for component in pixels.components),
        interlaced=first.interlaced,
        rotation=rotation,
        pixel_aspect=aspect if upright else 1 / aspect,
        time_base=time_base,
        colour=read_tags(frame, is_rgb=pixels.is_rgb),
        audio=describe_audio(container),
        reel=_metadata(container, stream, "reel_name"),
    )


def _metadata(container: InputContainer, stream: VideoStream, key: str) -> str | None:
    """A tag of the picture stream, of a timecode track, or of the file, in this order."""
    holders = [stream.metadata, *(data.metadata for data in container.streams.data), container.metadata]
    return next((holder[key] for holder in holders if holder.get(key)), None)


def _start_timecode(container: InputContainer, stream: VideoStream, rate: Fraction) -> str | None:
    label = _metadata(container, stream, "timecode")
    if label is None:
        return None
    try:
        return str(parse_timecode(label, rate))
    except TimeRangeError:
        log.warning("the start timecode %s of %s does not count at its rate; left out", label, container.name)
        return None


def _presentation_ticks(path: Path, first: _Start) -> list[int]:
    """When each frame is shown, in ticks of the stream's clock, in order of showing.

    Counted from the packets themselves: what a header says of the frame count or the rate may be an estimate. Files
    in the MOV family that hold only key frames are counted from their index, which is as exact and spares reading
    gigabytes.

    Raises:
        MediaError: the file ends before its header says.
    """
    with open_input(path) as container:
        stream = picture_stream(container)
        assert stream is not None
        ticks = _ticks_from_index(container, stream, path)
        if ticks is None:
            ticks = _ticks_from_packets(container, stream, path)
    if ticks is None:
        ticks = _ticks_from_frames(path)
    if first.ticks is not None:
        # Frames before the first one that decodes lean on pictures that were cut away (an open GOP at the start).
        ticks = [tick for tick in ticks if tick >= first.ticks]
    return sorted(ticks)


def _ticks_from_index(container: InputContainer, stream: VideoStream, path: Path) -> list[int] | None:
    if not container.format.name.startswith(_INDEXED) or not stream.frames:
        return None
    entries = stream.index_entries
    if len(entries) != stream.frames:
        return None
    size = path.stat().st_size
    present = sum(entry.pos + entry.size <= size for entry in entries)
    if present < len(entries):
        raise _cut_off(path, present, len(entries))
    if stream.codec_context.has_b_frames or not all(e.is_keyframe and not e.is_discard for e in entries):
        return None
    return [entry.timestamp for entry in entries]


def _ticks_from_packets(container: InputContainer, stream: VideoStream, path: Path) -> list[int] | None:
    """Presentation times of the packets that are shown; None where a packet does not carry one."""
    ticks: list[int] = []
    end = 0
    whole = True
    timed = True
    try:
        for packet in container.demux(stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.is_corrupt:
                whole = False
                break
            if packet.pts is None:
                timed = False
                ticks.append(0)
                continue
            ticks.append(packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
    except av.FFmpegError as exc:
        log.debug("%s: %s", path.name, exc)
        whole = False
    promised = _promised_frames(stream, end) if timed else 0
    if not whole or len(ticks) < promised:
        raise _cut_off(path, len(ticks), max(promised, len(ticks) + 1))
    return ticks if timed else None


def _promised_frames(stream: VideoStream, end_ticks: int) -> int:
    """How many frames the header says there are; 0 where it does not say or its word is not reliable."""
    label = stream.metadata.get("DURATION")  # Matroska's, for this stream alone
    if label and stream.average_rate and stream.time_base:
        hours, minutes, seconds = label.split(":")
        promised_s = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        missing_s = promised_s - float(end_ticks * stream.time_base)
        return round(promised_s * stream.average_rate) if missing_s > _SHORTFALL_S else 0
    if stream.container.format.name == "avi" and stream.average_rate and stream.time_base:
        # Skipped frames are counted in the header, too: compare times, not counts.
        covered = round(end_ticks * stream.time_base * stream.average_rate)
        return stream.frames if covered < stream.frames else 0
    return 0


def _ticks_from_frames(path: Path) -> list[int]:
    """Presentation times of a stream whose packets carry none, from decoding all of it."""
    with open_input(path) as container:
        stream = picture_stream(container)
        assert stream is not None
        stream.thread_type = "AUTO"
        time_base = stream.time_base or Fraction(1, 90_000)
        step = 1 / ((stream.average_rate or stream.guessed_rate or 25) * time_base)
        try:
            found = [frame.pts for frame in container.decode(stream)]
        except av.FFmpegError as exc:
            msg = f"{path.name} cannot be decoded to its end ({reason(exc)}); export or copy it again"
            raise MediaError(msg, path) from exc
    if any(tick is None for tick in found):
        return [round(index * step) for index in range(len(found))]
    return [tick for tick in found if tick is not None]


def _cut_off(path: Path, present: int, promised: int) -> MediaError:
    return MediaError(
        f"{path.name} is cut off: {present} of its {promised} frames are in the file; export or copy it again", path
    )
