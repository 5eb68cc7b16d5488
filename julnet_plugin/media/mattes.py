"""Mattes from other programs: grey numbers on 0 to 1, whatever carries them.

A sequence may have gaps: artists export the frames that they touched. Its channel is `uncertainty.matte`, else the only
grey there is; alpha counts where it is not opaque throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media import exr
from julnet_plugin.media.container import check_file
from julnet_plugin.media.movie import probe_movie
from julnet_plugin.media.planes import converted, planar_format, plane
from julnet_plugin.media.reader import open_plate
from julnet_plugin.media.sequence import decode_picture, is_image, is_pattern, numbered_files, picture_decoder
from julnet_plugin.media.timecode import parse_timecode

if TYPE_CHECKING:
    from julnet_plugin.types import MediaInfo

Float32 = NDArray[np.float32]

_LOSSY_STEPS = 6  #: code values that a movie's compression may be off by where nothing was painted
_GREY_SLACK = 2 / 255  #: how much red, green and blue of a matte may differ


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatteFootage:
    """A matte that can be read, frame by frame."""

    name: str
    width: int
    height: int
    numbers: Sequence[int]  #: of its files, ascending; a movie's frames count from 0
    movie: bool
    rate: Fraction | None  #: None where nothing says
    timecode: str | None  #: of its first frame
    tolerance: float  #: what its own precision may have changed
    read: Callable[[Sequence[int]], Iterator[tuple[int, Float32]]]  #: (number, (H, W)) of these numbers, in order


def open_matte(path: Path, channel: str | None = None) -> MatteFootage:
    """Find out what a matte is.

    Args:
        path: a movie; or a sequence, as a pattern, one of its files, or its folder.
        channel: "luma", "alpha" or a channel of an EXR file; found out when None.

    Raises:
        MediaError: there is no such file, or it cannot be read as a matte.
    """
    path = Path(path)
    if path.is_dir() or is_pattern(path) or is_image(path):
        return _sequence(path, channel)
    check_file(path, "movie or image sequence")
    return _movie(probe_movie(path), channel)


def _sequence(path: Path, channel: str | None) -> MatteFootage:
    files = numbered_files(path)
    numbers = sorted(files)
    first = files[numbers[0]]
    if first.suffix.lower() == ".exr":
        header = exr.read_matte_header(first)
        return MatteFootage(
            name=path.name,
            width=header.width,
            height=header.height,
            numbers=numbers,
            movie=False,
            rate=header.rate,
            timecode=_steady_timecode(files, numbers),
            tolerance=2.0**-11 if header.half else 1e-6,
            read=lambda wanted: ((number, exr.read_matte(files[number], channel)) for number in wanted),
        )
    decoder = picture_decoder(first)
    frame = decode_picture(first, decoder)
    depth = min(frame.format.components[0].bits, 16)
    lossy = first.suffix.lower() in (".jpg", ".jpeg")

    def read(wanted: Sequence[int]) -> Iterator[tuple[int, Float32]]:
        for number in wanted:
            picture = decode_picture(files[number], decoder)
            if (picture.width, picture.height) != (frame.width, frame.height):
                raise MediaError(
                    f"{files[number].name} is {picture.width}x{picture.height} and the others are "
                    f"{frame.width}x{frame.height}: export every frame at one size",
                    files[number],
                )
            yield number, _grey(picture, channel, files[number])

    return MatteFootage(
        name=path.name,
        width=frame.width,
        height=frame.height,
        numbers=numbers,
        movie=False,
        rate=None,
        timecode=None,
        tolerance=(_LOSSY_STEPS if lossy else 1) / (2**depth - 1),
        read=read,
    )


def _steady_timecode(files: dict[int, Path], numbers: Sequence[int]) -> str | None:
    """The first file's timecode, if it runs on to the last one's: some programs stamp every frame alike."""
    first, last = (exr.read_matte_header(files[number]) for number in (numbers[0], numbers[-1]))
    if first.timecode is None or last.timecode is None:
        return None
    rate = first.rate or Fraction(24)
    ends = [parse_timecode(header.timecode or "", rate).frame for header in (first, last)]
    return first.timecode if ends[1] - ends[0] == numbers[-1] - numbers[0] else None


def _movie(info: MediaInfo, channel: str | None) -> MatteFootage:
    lossless = info.codec in ("ffv1", "png", "qtrle", "huffyuv", "rawvideo", "v210", "utvideo")
    steps = 1 if lossless else _LOSSY_STEPS
    peak = 2 ** min(info.bit_depth, 10) - 1

    def read(wanted: Sequence[int]) -> Iterator[tuple[int, Float32]]:
        keep, stop = set(wanted), wanted[-1] + 1
        with open_plate(info) as reader:
            for frame in reader.frames():
                if frame.index >= stop:
                    return
                if frame.index in keep:
                    assert frame.native is not None
                    yield frame.index, _grey(frame.native, channel, info.path)

    return MatteFootage(
        name=info.path.name,
        width=info.width,
        height=info.height,
        numbers=range(info.frame_count),
        movie=True,
        rate=None if info.vfr else info.rate,
        timecode=info.start_timecode,
        tolerance=steps / peak,
        read=read,
    )


def _grey(frame: av.VideoFrame, channel: str | None, path: Path) -> Float32:
    """The matte in a decoded picture, (H, W) on 0 to 1.

    Raises:
        MediaError: it is a picture in colour, or lacks the channel.
    """
    if channel not in (None, "luma", "alpha"):
        msg = f'{path.name} has no channel {channel!r}: choose "luma" or "alpha", or give an EXR sequence'
        raise MediaError(msg, path)
    name = "rgba" if frame.format.name in ("pal8", "monob", "monow") else planar_format(frame.format.name)
    if name in ("rgba", "gbrp", "gbrp16le") or frame.format.is_rgb:
        return _from_rgb(frame, channel, path)
    if name.startswith("ya"):
        return _from_rgb(frame, channel, path)
    name = f"{name[:-2]}le" if name.endswith("be") else name  # `plane` reads little-endian
    flat = frame if frame.format.name == name else converted(frame, name)
    if "yuva" in name:
        alpha = _scaled(plane(flat, 3), flat.format.components[3].bits)
        if channel == "alpha" or (channel is None and alpha.min() < 1):
            return alpha
    elif channel == "alpha":
        raise _no_alpha(path)
    bits = flat.format.components[0].bits
    codes = plane(flat, 0).astype(np.float32)
    full = int(frame.color_range) == 2 or (name.startswith("gray") and int(frame.color_range) != 1)
    if full:
        return codes / np.float32(2**bits - 1)
    unit = np.float32(2 ** (bits - 8))
    return np.clip((codes - 16 * unit) / (219 * unit), 0, 1)


def _from_rgb(frame: av.VideoFrame, channel: str | None, path: Path) -> Float32:
    deep = frame.format.components[0].bits > 8
    pixels = converted(frame, "rgba64le" if deep else "rgba").to_ndarray()
    planes = _scaled(pixels, 16 if deep else 8)
    has_alpha = any(component.is_alpha for component in frame.format.components) or frame.format.name == "pal8"
    if channel == "alpha" and not has_alpha:
        raise _no_alpha(path)
    if channel == "alpha" or (channel is None and has_alpha and planes[..., 3].min() < 1):
        return np.ascontiguousarray(planes[..., 3])
    rgb = planes[..., :3]
    if channel is None and np.ptp(rgb, axis=-1).max() > _GREY_SLACK:
        msg = f'{path.name} is a picture in colour, not a matte: export the matte in grey, or choose a channel ("luma")'
        raise MediaError(msg, path)
    return np.ascontiguousarray(rgb[..., 0]) if channel is None else np.asarray(rgb @ _LUMA, np.float32)


_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def _scaled(codes: NDArray[np.generic], bits: int) -> Float32:
    return np.divide(codes, np.float32(2**bits - 1), dtype=np.float32)


def _no_alpha(path: Path) -> MediaError:
    return MediaError(f'{path.name} has no alpha: choose "luma", or export it with alpha', path)
