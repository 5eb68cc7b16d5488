"""Decoded frames as arrays: views of their planes, turning them upright, and their RGB.

Convention: planes are (rows, columns) views of FFmpeg's own memory, without its row padding; writing to a view writes
to the frame. Rotations are clockwise, in quarter turns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from julnet_plugin.media.tags import MATRICES, RANGES, number_of

if TYPE_CHECKING:
    from julnet_plugin.types import ColourTags, PixelArray, Rect

#: Formats with several components in one plane, or big-endian, and the planar format that holds the same numbers.
_PLANAR = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p216le": "yuv422p16le",
    "p410le": "yuv444p10le",
    "p416le": "yuv444p16le",
    "y210le": "yuv422p10le",
    "v210": "yuv422p10le",
    "yuyv422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyvy422": "yuv422p",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "ayuv64le": "yuva444p16le",
}
_IN_PARTS = re.compile(r"yuvj?4(?:20|22|44)p|yuv4(?:22|44)p1[02]le|gbrp(?:1[026]le)?")
_NARROW = re.compile(r"yuv(a?)j?(?:422|440|411|410)p(\d*(?:le)?)")


def planar_format(name: str) -> str:
    """A planar format that holds the same numbers as this one; RGB becomes planar RGB of its depth."""
    if name in _PLANAR:
        return _PLANAR[name]
    if name.endswith("be") and not name.startswith("gray"):
        return planar_format(f"{name[:-2]}le")
    pixels = av.VideoFormat(name)
    if pixels.is_rgb and not name.startswith("gbr"):
        return "gbrp" if pixels.components[0].bits <= 8 else "gbrp16le"
    return name


def plane(frame: av.VideoFrame, index: int) -> NDArray[Any]:
    """A writable view of one plane of a planar frame."""
    memory = frame.planes[index]
    buffer: Any = memory  # a buffer, though the stubs do not say so
    dtype = np.dtype(np.uint8) if frame.format.components[0].bits <= 8 else np.dtype("<u2")
    rows = np.frombuffer(buffer, dtype).reshape(memory.height, -1)
    view: NDArray[Any] = rows[:, : memory.width]
    return view


def blank_like(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """A new frame of the same format, tags and time; its pixels are not set."""
    blank = av.VideoFrame(width, height, frame.format.name)
    copy_tags(frame, blank)
    return blank


def copy_tags(source: av.VideoFrame, target: av.VideoFrame) -> None:
    """Give a frame another's colour tags and time."""
    target.colorspace = source.colorspace
    target.color_range = source.color_range
    target.color_primaries = source.color_primaries
    target.color_trc = source.color_trc
    target.pts = source.pts
    if source.time_base:
        target.time_base = source.time_base


def converted(
    frame: av.VideoFrame, pixel_format: str, converter: VideoReformatter | None = None, **colours: int
) -> av.VideoFrame:
    """The frame in another pixel format, by one thread.

    FFmpeg writes the rows of a picture in whole vectors, past their end. With a slice of the picture for each thread,
    which is PyAV's default, the last row of one slice then lands on the first pixels of the next slice, and the picture
    differs from run to run where rows do not fill their vectors, as at a width of 852.

    Args:
        frame: what to convert.
        pixel_format: FFmpeg's name.
        converter: keeps its tables for the next frame; never `frame.reformat`, which hangs when two movies convert one
            frame at once.
        **colours: `dst_colorspace` and its like, as `av.VideoFrame.reformat` takes them.
    """
    done = (converter or VideoReformatter()).reformat(frame, format=pixel_format, threads=1, **colours)
    assert done is not None
    return done


def upright(frame: av.VideoFrame, clockwise: int) -> av.VideoFrame:
    """The frame turned clockwise by 0, 90, 180 or 270 degrees, each number kept as it is.

    4:2:2 and its like become 4:4:4 under a quarter turn: no format is subsampled along columns alone.
    """
    turns = clockwise // 90 % 4
    if turns == 0:
        return frame
    name = planar_format(frame.format.name)
    if turns % 2 and (narrow := _NARROW.fullmatch(name)):
        name = f"yuv{narrow[1]}444p{narrow[2]}"
    flat = frame if frame.format.name == name else converted(frame, name)
    swap = turns % 2 == 1
    turned = blank_like(flat, flat.height if swap else flat.width, flat.width if swap else flat.height)
    copy_tags(frame, turned)
    for index in range(len(flat.planes)):
        plane(turned, index)[:] = np.rot90(plane(flat, index), -turns)
    return turned


def assume_tags(frame: av.VideoFrame, tags: ColourTags) -> None:
    """Say on the frame what its file does not say, so that every later conversion uses it."""
    if not frame.format.is_rgb and MATRICES.get(int(frame.colorspace)) != tags.matrix:
        frame.colorspace = number_of(MATRICES, tags.matrix)
    if RANGES.get(int(frame.color_range)) != tags.range and not frame.format.is_rgb:
        frame.color_range = number_of(RANGES, tags.range, unknown=0)


def to_rgb(frame: av.VideoFrame) -> PixelArray:
    """RGB of a frame whose colour tags are set, in the frame's own depth.

    YUV is converted with the matrix and range that the frame is tagged with, by FFmpeg's standard conversion: the
    picture equals, number for number, what other FFmpeg-based tools decode. It rounds down and takes the nearest
    chroma sample; `yuv.Encoding` is its exact counterpart for the way back.

    Shape:
        (H, W, 3): uint8 up to 8 bits; uint16 over the whole range 0 to 65535 above; float32 or float16 for float.
    """
    name = frame.format.name
    bits = frame.format.components[0].bits
    if "f32" in name or "f16" in name:
        return _float_rgb(frame)
    if name.startswith("gray") and int(frame.color_range) != 1:
        # swscale loses the low byte of 16-bit grey.
        return _grey_rgb(frame)
    return converted(frame, "rgb24" if bits <= 8 else "rgb48le").to_ndarray()


def converts_in_parts(frame: av.VideoFrame) -> bool:
    """Whether `to_rgb` makes each pixel from its own samples alone, so that a part converts as the whole does.

    FFmpeg interpolates the chroma of 4:2:0 above 8 bits between rows, and that of any picture with an odd side.
    """
    return frame.width % 2 == frame.height % 2 == 0 and bool(_IN_PARTS.fullmatch(frame.format.name))


def part_to_rgb(frame: av.VideoFrame, rect: Rect) -> PixelArray:
    """`to_rgb` of a rectangle, for a frame that `converts_in_parts`."""
    x0, y0, x1, y1 = rect.x0 // 2 * 2, rect.y0 // 2 * 2, -(-rect.x1 // 2) * 2, -(-rect.y1 // 2) * 2
    part = blank_like(frame, x1 - x0, y1 - y0)
    for index, source in enumerate(frame.planes):
        across, down = frame.width // source.width, frame.height // source.height
        rows, columns = slice(y0 // down, y1 // down), slice(x0 // across, x1 // across)
        plane(part, index)[:] = plane(frame, index)[rows, columns]
    rgb = to_rgb(part)[rect.y0 - y0 : rect.y1 - y0, rect.x0 - x0 : rect.x1 - x0]
    rgb.flags.writeable = False
    return rgb


def _grey_rgb(frame: av.VideoFrame) -> PixelArray:
    bits = frame.format.components[0].bits
    grey = converted(frame, frame.format.name[:-2] + "le") if frame.format.name.endswith("be") else frame
    levels = plane(grey, 0)
    if bits > 8:
        wide = levels.astype(np.uint32) * 65535 + (2**bits - 1) // 2
        levels = (wide // (2**bits - 1)).astype(np.uint16)
    return np.repeat(levels[..., None], 3, axis=2)


def _float_rgb(frame: av.VideoFrame) -> PixelArray:
    planar = "gbrpf16le" if "f16" in frame.format.name else "gbrpf32le"
    flat = frame if frame.format.name in (planar, "rgbf32le") else converted(frame, planar)
    array = flat.to_ndarray()
    return np.ascontiguousarray(array[..., :3])
