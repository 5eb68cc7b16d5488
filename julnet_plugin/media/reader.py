"""`open_plate`: the plate's frames in order, exact to the frame, in constant memory."""

from __future__ import annotations

import bisect
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import av

from julnet_plugin.errors import MediaError, TimeRangeError
from julnet_plugin.media import exr
from julnet_plugin.media.container import open_input, picture_stream, reason
from julnet_plugin.media.planes import assume_tags, converts_in_parts, part_to_rgb, to_rgb, upright
from julnet_plugin.media.probe import probe
from julnet_plugin.media.sequence import decode_picture, frame_path, picture_decoder
from julnet_plugin.types import FrameRange, MediaInfo, Rect

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from julnet_plugin.types import PixelArray

#: How far back to look for a key frame at first; doubled until one is found at or before the wanted frame.
_LOOK_BACK_S = 0.5
#: Frames so near the start that decoding up to them is quicker than a seek.
_NEAR = 8
#: Containers that stamp only some of their frames: after a seek the stamps in between are guesses.
_UNSEEKABLE = frozenset({"mpeg", "mpegvideo", "h264", "hevc", "m4v", "mjpeg"})


class PlateFrame:
    """One decoded frame. Safe to hand to another thread.

    Attributes:
        index: counted from 0 at the plate's first frame.
        time_s: presentation time from the plate's first frame.
        native: the decoder's frame, upright and with its colour tags set; None for OpenEXR.
    """

    __slots__ = ("_lock", "_part", "_rgb", "index", "native", "time_s")

    def __init__(
        self, index: int, time_s: float, native: av.VideoFrame | None = None, rgb: PixelArray | None = None
    ) -> None:
        if native is None and rgb is None:
            msg = "a plate frame needs a decoded frame or its RGB"
            raise ValueError(msg)
        self.index = index
        self.time_s = time_s
        self.native = native
        self._rgb = rgb
        self._part: tuple[Rect, PixelArray] | None = None
        self._lock = threading.Lock()

    @property
    def rgb(self) -> PixelArray:
        """The picture in the plate's own depth and colour space; decoded on first use. Do not write to it.

        Shape:
            (H, W, 3): uint8 for 8-bit plates; uint16 over 0 to 65535 for deeper integers; float16 or float32 for float.
        """
        with self._lock:
            if self._rgb is None:
                assert self.native is not None
                self._rgb = to_rgb(self.native)
                self._rgb.flags.writeable = False
            return self._rgb

    def part(self, rect: Rect) -> PixelArray:
        """The same numbers as `rgb` inside a rectangle; where the format allows, nothing else is converted.

        The part that was asked for last is kept: what lies inside it is cut from it.

        Shape:
            (rect.height, rect.width, 3). Do not write to it.
        """
        with self._lock:
            whole, native, last = self._rgb, self.native, self._part
        if whole is not None or native is None or not converts_in_parts(native):
            return self.rgb[rect.slices]
        if last is None or not last[0].holds(rect):
            last = self._part = rect, part_to_rgb(native, rect)
        outer, pixels = last
        return pixels[rect.y0 - outer.y0 : rect.y1 - outer.y0, rect.x0 - outer.x0 : rect.x1 - outer.x0]

    @property
    def view(self) -> PlateView:
        """The picture, of which only what is cut out of it is made RGB."""
        return PlateView(self)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        if self.native is not None:
            return self.native.width, self.native.height
        height, width = self.rgb.shape[:2]
        return width, height


class PlateView:
    """Cuts rectangles from a frame as from its `rgb`, without converting the rest."""

    def __init__(self, frame: PlateFrame) -> None:
        self._frame = frame
        width, height = frame.size
        self.shape = (height, width, 3)

    def __getitem__(self, where: tuple[slice, slice]) -> PixelArray:
        """Rows and columns, both as plain slices (see `Rect.slices`)."""
        rows, columns = where
        return self._frame.part(Rect(x0=columns.start, y0=rows.start, x1=columns.stop, y1=rows.stop))


class PlateReader:
    """Frames of one plate. Get one from `open_plate`."""

    def __init__(self, info: MediaInfo) -> None:
        self.info = info

    def frames(self, frames: FrameRange | None = None) -> Iterator[PlateFrame]:
        """Decode a range of frames, in order, each exactly once.

        Args:
            frames: which; None = all of the plate.

        Raises:
            TimeRangeError: the range reaches outside the plate.
            MediaError: a frame cannot be decoded, or the file ends early.
        """
        wanted = frames or FrameRange(start=0, stop=self.info.frame_count)
        if wanted.stop > self.info.frame_count:
            msg = (
                f"frames {wanted.start} to {wanted.stop - 1} were asked for, but {self.info.path.name} holds frames 0 "
                f"to {self.info.frame_count - 1}; choose a range inside it"
            )
            raise TimeRangeError(msg, requested=wanted, available=self.info.frame_count)
        if self.info.kind == "sequence":
            return _sequence_frames(self.info, wanted)
        return _movie_frames(self.info, wanted)

    def frame(self, index: int) -> PlateFrame:
        """One frame; for more than a few, `frames` is much faster."""
        return next(self.frames(FrameRange(start=index, stop=index + 1)))


class HeldPlate(PlateReader):
    """A plate some frames of which are in memory, decoded once for whoever reads them.

    Args:
        info: the plate.
        held: the frames to keep; others are decoded when they are asked for.
    """

    def __init__(self, info: MediaInfo, held: FrameRange) -> None:
        super().__init__(info)
        self.held = held
        self._frames = tuple(super().frames(held))

    def frames(self, frames: FrameRange | None = None) -> Iterator[PlateFrame]:  # noqa: D102
        first = self.held.start
        if frames is not None and first <= frames.start and frames.stop <= self.held.stop:
            return iter(self._frames[frames.start - first : frames.stop - first])
        return super().frames(frames)


@contextmanager
def open_plate(plate: str | Path | MediaInfo) -> Iterator[PlateReader]:
    """Open a plate for reading.

    Args:
        plate: a path as `probe` takes it, or what `probe` returned.

    Raises:
        MediaError: it cannot be read, or it is interlaced.
    """
    info = plate if isinstance(plate, MediaInfo) else probe(plate)
    refuse_interlaced(info)
    yield PlateReader(info)


def refuse_interlaced(info: MediaInfo) -> None:
    """Refuse a plate whose frames hold two moments each.

    Raises:
        MediaError: the plate is interlaced; the message says how to deinterlace it.
    """
    if info.interlaced:
        msg = (
            f"{info.path.name} is interlaced, progressive frames are needed: deinterlace it first, for example with "
            f'ffmpeg -i "{info.path.name}" -vf bwdif=mode=send_frame -c:v prores_ks -profile:v 3 -c:a copy out.mov'
        )
        raise MediaError(msg, info.path)


def _sequence_frames(info: MediaInfo, wanted: FrameRange) -> Iterator[PlateFrame]:
    if info.codec == "exr":
        for index in range(wanted.start, wanted.stop):
            pixels = exr.read_pixels(frame_path(info, index))
            _check_size(info, index, pixels.shape[1], pixels.shape[0])
            yield PlateFrame(index, info.time_of(index), rgb=pixels)
        return
    decoder = picture_decoder(info.path)
    for index in range(wanted.start, wanted.stop):
        frame = decode_picture(frame_path(info, index), decoder)
        _check_size(info, index, frame.width, frame.height)
        assume_tags(frame, info.colour)
        yield PlateFrame(index, info.time_of(index), native=frame)


def _check_size(info: MediaInfo, index: int, width: int, height: int) -> None:
    if (width, height) != (info.width, info.height):
        path = frame_path(info, index)
        msg = (
            f"{path.name} is {width}x{height}, but the sequence began with {info.width}x{info.height}; "
            "all frames of a plate must have one size"
        )
        raise MediaError(msg, path)


def _movie_frames(info: MediaInfo, wanted: FrameRange) -> Iterator[PlateFrame]:
    expected = wanted.start
    try:
        for index, frame in _indexed_from(info, wanted.start):
            if index < expected:
                continue
            if index > expected:
                break
            assume_tags(frame, info.colour)
            yield PlateFrame(index, info.time_of(index), native=upright(frame, info.rotation))
            expected += 1
            if expected == wanted.stop:
                return
    except av.FFmpegError as exc:
        raise _unreadable(info, expected, wanted, reason(exc)) from exc
    raise _unreadable(info, expected, wanted, "the frame is missing")


def _unreadable(info: MediaInfo, index: int, wanted: FrameRange, why: str) -> MediaError:
    msg = (
        f"frame {index} of {info.path.name} cannot be decoded ({why}) after {index - wanted.start} good frames of "
        f"{len(wanted)}; export the plate again or set the out point before it"
    )
    return MediaError(msg, info.path)


def _indexed_from(info: MediaInfo, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decoded frames with their indices, from the wanted one or a little before it.

    An index comes from the frame's time stamp, never from counting after a seek. A frame without a time stamp is
    counted instead, from the start of the file.
    """
    with _open_stream(info) as (container, stream):
        decoded = container.decode(stream)
        first = next(decoded, None)
        if first is None:
            return
        if first.pts is None:
            yield 0, first
            yield from enumerate(decoded, start=1)
            return
        clock = _Clock(info, stream, first.pts)
        if start < _NEAR or container.format.name in _UNSEEKABLE:
            yield from _numbered(clock, first, decoded)
            return
        near = _seek(container, stream, clock, start)
        if near is not None:
            yield from _numbered(clock, near, container.decode(stream))
            return
    with _open_stream(info) as (container, stream):  # no key frame was found before it: from the start
        decoded = container.decode(stream)
        first = next(decoded, None)
        if first is not None:
            yield from _numbered(clock, first, decoded)


@contextmanager
def _open_stream(info: MediaInfo) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_input(info.path) as container:
        stream = picture_stream(container)
        if stream is None:
            msg = f"{info.path.name} holds no moving picture any more; was it replaced?"
            raise MediaError(msg, info.path)
        stream.thread_type = "AUTO"
        yield container, stream


def _numbered(
    clock: _Clock, first: av.VideoFrame, rest: Iterator[av.VideoFrame]
) -> Iterator[tuple[int, av.VideoFrame]]:
    for frame in itertools.chain([first], rest):
        index = clock.index_of(frame.pts)
        if index is not None:
            yield index, frame


def _seek(container: InputContainer, stream: VideoStream, clock: _Clock, start: int) -> av.VideoFrame | None:
    """Go to a key frame at or before a frame; the first frame decoded there, or None when there is no such place."""
    look_back_s = 0.0
    while True:
        target = clock.tick_of(start) - round(look_back_s / clock.tick_s)
        if target <= clock.first:
            return None
        container.seek(target, stream=stream, backward=True, any_frame=False)
        frame = next(container.decode(stream), None)
        index = clock.index_of(frame.pts) if frame is not None else None
        if index is not None and index <= start:
            return frame
        look_back_s = max(_LOOK_BACK_S, 2 * look_back_s)


class _Clock:
    """Between a stream's time stamps and frame indices."""

    def __init__(self, info: MediaInfo, stream: VideoStream, first: int) -> None:
        self._info = info
        self.first = first  #: time stamp of frame 0
        self.tick_s = float(stream.time_base or 1)

    def tick_of(self, index: int) -> int:
        return self.first + round(self._info.time_of(index) / self.tick_s)

    def index_of(self, tick: int | None) -> int | None:
        """The frame that is shown at a time stamp; None for a time stamp before the first frame."""
        if tick is None or tick < self.first:
            return None
        elapsed_s = (tick - self.first) * self.tick_s
        times = self._info.frame_times_s
        if times is None:
            return round(elapsed_s * self._info.rate)
        return bisect.bisect_left(times, elapsed_s - self.tick_s / 2)
