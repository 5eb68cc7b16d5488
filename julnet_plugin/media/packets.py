"""Movies written in chunks: encode a chunk on its own, keep its packets, put all chunks into one movie at the end.

Every chunk starts a fresh encoder, whether the render was interrupted or not, so an interrupted render ends in the same
bytes as one that ran through. Packets leave an encoder in the order in which they are shown (no B-frames), so the n-th
packet of a chunk is its n-th frame and takes that frame's time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import av
from av.codec.context import Flags

from julnet_plugin.errors import MediaError
from julnet_plugin.media.files import flush, writing
from julnet_plugin.media.tags import MATRICES, PRIMARIES, RANGES, TRANSFERS, UNKNOWN_RANGE, number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

    from julnet_plugin.types import ColourTags, FrameRange

_HEAD = struct.Struct("<I?")  #: size of a packet in bytes, whether it is a key frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """An encoder and everything that its bytes depend on."""

    name: str
    pixel_format: str
    width: int
    height: int
    rate: Fraction
    pixel_aspect: Fraction
    colour: ColourTags
    options: dict[str, str] = field(default_factory=dict)
    quantiser: int | None = None  #: fixed, instead of a bit rate
    threads: int = 0  #: 0 = as many as there are cores; a number where the encoder's output depends on it

    def configure(self, context: VideoCodecContext) -> None:
        """Set all of it on an encoder that isn't open yet."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pixel_format
        context.time_base = 1 / self.rate
        context.framerate = self.rate
        context.sample_aspect_ratio = self.pixel_aspect
        context.colorspace = number_of(MATRICES, self.colour.matrix)
        context.color_range = number_of(RANGES, self.colour.range, UNKNOWN_RANGE)
        context.color_primaries = number_of(PRIMARIES, self.colour.primaries)
        context.color_trc = number_of(TRANSFERS, self.colour.transfer)
        context.flags |= Flags.bitexact | Flags.global_header
        context.thread_count = self.threads
        if self.quantiser is not None:
            context.global_quality = self.quantiser

    def encoder(self) -> VideoCodecContext:
        """A fresh encoder."""
        context = av.CodecContext.create(self.name, "w")
        assert isinstance(context, av.VideoCodecContext)
        self.configure(context)
        context.options = dict(self.options)
        return context

    def tag(self, frame: av.VideoFrame) -> None:
        """Say on a frame what the movie says: encoders read some of it there."""
        frame.colorspace = number_of(MATRICES, self.colour.matrix)
        frame.color_range = number_of(RANGES, self.colour.range, UNKNOWN_RANGE)
        frame.color_primaries = number_of(PRIMARIES, self.colour.primaries)
        frame.color_trc = number_of(TRANSFERS, self.colour.transfer)


class ChunkEncoder:
    """Encodes one chunk of a movie into one file of packets, which appears under its name when it is whole."""

    def __init__(self, codec: Codec, path: Path) -> None:
        self._codec = codec
        self._path = path
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._encoder: VideoCodecContext | None = None  # made with the first picture: packets may come ready
        self._count = 0
        with writing(path):
            self._file: BinaryIO = self._temporary.open("wb")

    def encode(self, frame: av.VideoFrame) -> None:
        """Add the next frame. Its tags and time are overwritten."""
        self._codec.tag(frame)
        frame.pts = self._count
        frame.time_base = 1 / self._codec.rate
        self._count += 1
        if self._encoder is None:
            self._encoder = self._codec.encoder()
        with writing(self._path):
            self._store(self._encoder.encode(frame))

    def add(self, packet: bytes) -> None:
        """Add the next frame, encoded already, and a key frame."""
        with writing(self._path):
            self._file.write(_HEAD.pack(len(packet), True) + packet)

    def finish(self) -> None:
        """Flush the encoder, and give the file its name."""
        try:
            with writing(self._path):
                if self._encoder is not None:
                    self._store(self._encoder.encode(None))
                self._file.close()
                flush(self._temporary)
                self._temporary.replace(self._path)
        finally:
            self.abort()

    def abort(self) -> None:
        """Leave nothing behind of an unfinished chunk."""
        try:
            self._file.close()
        except OSError:
            pass  # what could not be written is about to be removed
        finally:
            self._temporary.unlink(missing_ok=True)

    def _store(self, packets: list[av.Packet[VideoStream]]) -> None:
        for packet in packets:
            self._file.write(_HEAD.pack(packet.size, packet.is_keyframe))
            self._file.write(memoryview(packet))


def read_chunk(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The packets of a chunk and whether each is a key frame.

    Raises:
        MediaError: the file is damaged.
    """
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            size, key = _HEAD.unpack(head) if len(head) == _HEAD.size else (-1, False)
            data = file.read(size) if size > 0 else b""
            if len(data) != size:
                msg = (
                    f"{path.name} in the take's work folder is damaged; delete the unfinished take and render it again"
                )
                raise MediaError(msg, path)
            yield data, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When each frame of a movie is shown."""

    time_base: Fraction
    ticks: Callable[[int], int]  #: of a frame, counted from the movie's first


def add_picture_stream(
    container: OutputContainer, codec: Codec, timing: Timing, metadata: dict[str, str]
) -> VideoStream:
    """A stream that takes this codec's packets. Its encoder is only asked for headers."""
    stream = container.add_stream(codec.name, rate=codec.rate, options=dict(codec.options))
    assert isinstance(stream, av.VideoStream)
    codec.configure(stream.codec_context)
    stream.time_base = timing.time_base
    stream.metadata.update(metadata)
    return stream


def mux_chunks(
    container: OutputContainer,
    stream: VideoStream,
    timing: Timing,
    chunks: list[tuple[FrameRange, Path]],
    sound_until: Callable[[float], None],
) -> None:
    """Put the packets of all chunks into a movie, in order, calling for sound on the way.

    Args:
        container: the movie, open for writing.
        stream: from `add_picture_stream`.
        timing: the movie's clock.
        chunks: frames and packets of every chunk; the first begins with the movie's first frame.
        sound_until: called with the time in seconds up to which the sound is wanted.

    Raises:
        MediaError: a chunk doesn't hold as many packets as frames.
    """
    first = chunks[0][0].start
    for frames, path in chunks:
        count = 0
        for count, (data, key) in enumerate(read_chunk(path), start=1):
            index = frames.start - first + count - 1
            packet = av.Packet(data)
            packet.stream = stream
            packet.is_keyframe = key
            assert stream.time_base is not None
            scale = timing.time_base / stream.time_base  # the muxer may have chosen a finer clock
            start, stop = timing.ticks(index), timing.ticks(index + 1)
            packet.time_base = stream.time_base
            packet.pts = packet.dts = round(start * scale)
            packet.duration = round(stop * scale) - round(start * scale)
            container.mux(packet)
            sound_until(float(stop * timing.time_base))
        if count != len(frames):
            msg = f"{path.name} in the take's work folder holds {count} frames of {len(frames)}; render the take again"
            raise MediaError(msg, path)
