"""Opening a media file so that whatever is wrong with it becomes one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av

from julnet_plugin.errors import MediaError
from julnet_plugin.types import AudioInfo

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: Demuxers that find "media" in text: captions, playlists, terminal art. A playlist could also open other files.
_TEXT_FORMATS = frozenset({"tty", "concat", "hls", "dash", "ffmetadata", "srt", "ass", "webvtt", "sami", "subviewer"})


def check_file(path: Path, what: str = "media file") -> None:
    """Refuse what cannot be a file with content.

    Raises:
        MediaError: missing, a directory, unreadable or empty.
    """
    try:
        size = path.stat().st_size
        is_directory = path.is_dir()
    except FileNotFoundError:
        msg = f"there is no file {path}; check the path"
        raise MediaError(msg, path) from None
    except OSError as exc:
        msg = f"{path} cannot be opened ({exc.strerror}); check the path and its permissions"
        raise MediaError(msg, path) from exc
    if is_directory:
        msg = f"{path} is a folder, a {what} was needed; give a file"
        raise MediaError(msg, path)
    if size == 0:
        msg = f"{path.name} is empty (0 bytes); export or copy it again"
        raise MediaError(msg, path)


@contextmanager
def open_input(path: Path) -> Iterator[InputContainer]:
    """Open a movie or sound file for reading.

    Raises:
        MediaError: it is missing, empty, text, cut off or of a kind that FFmpeg does not know.
    """
    check_file(path)
    try:
        container = av.open(str(path.absolute()), mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as exc:
        msg = f"{path.name} cannot be read as media ({reason(exc)}): it is cut off, damaged or another kind of file"
        raise MediaError(msg, path) from exc
    with container:
        if container.format.name in _TEXT_FORMATS:
            msg = f"{path.name} holds text, not media; give a movie, an image sequence or a sound file"
            raise MediaError(msg, path)
        yield container


def reason(exc: BaseException) -> str:
    """What FFmpeg or the system said, without the file name and number around it."""
    text = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return text[:1].lower() + text[1:]


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures; cover art of a song is not one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def describe_audio(container: InputContainer) -> tuple[AudioInfo, ...]:
    """The container's audio streams, in order."""
    return tuple(_describe(index, stream, container) for index, stream in enumerate(container.streams.audio))


def _describe(index: int, stream: AudioStream, container: InputContainer) -> AudioInfo:
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    else:
        duration_s = (container.duration or 0) / av.time_base
    context: AudioCodecContext | None = stream.codec_context
    if context is None:  # of a codec that FFmpeg does not know: sound that is there and cannot be heard
        return AudioInfo(index=index, codec="", sample_rate_hz=0, channels=0, layout="", duration_s=duration_s)
    return AudioInfo(
        index=index,
        codec=context.name,
        sample_rate_hz=context.sample_rate or 0,
        channels=context.channels or 0,
        layout=context.layout.name if context.channels else "",
        duration_s=duration_s,
        bits=16 if context.format is not None and context.format.bytes <= 2 else 24,
        language=stream.metadata.get("language"),
    )
