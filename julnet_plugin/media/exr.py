"""OpenEXR pictures: exact half and float pixels, timecode and rate from the header."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.container import check_file, reason
from julnet_plugin.media.exr_layout import refuse_cut_exr
from julnet_plugin.media.timecode import Timecode, nominal_rate

#: CIE xy of red, green, blue and white, as the header's `chromaticities` lists them, by FFmpeg's name of the primaries.
CHROMATICITIES = {
    "bt709": (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    "smpte170m": (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    "smpte240m": (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.3290),
    "bt470bg": (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    "bt2020": (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    "smpte432": (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290),
    "aces-ap0": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
    "aces-ap1": (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767),
}
_TIMECODE_FRAMES = 30  #: the header's timecode counts frames from 0 to 29
_EXR_ERRORS = (RuntimeError, ValueError, OSError, KeyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExrHeader:
    """What one EXR file says of itself."""

    width: int  #: of the display window
    height: int
    dtype: str  #: "float16" or "float32", the widest of R, G and B
    channels: tuple[str, str, str]  #: names of red, green and blue in the file
    has_alpha: bool
    rate: Fraction | None
    timecode: str | None
    primaries: str
    pixel_aspect: Fraction
    reel: str | None


def read_header(path: Path) -> ExrHeader:
    """Read what the header says.

    Raises:
        MediaError: missing, not an EXR, cut off, or no red, green and blue in it.
    """
    file = _open(path)
    header, channels = file.header(), file.channels()
    names = _colour_channels(list(channels), path)
    (x0, y0), (x1, y1) = header["displayWindow"]
    dtype = np.result_type(*(_dtype(channels[name], path) for name in names))
    rate = _rate(header["framesPerSecond"]) if header.get("framesPerSecond") else None
    return ExrHeader(
        width=int(x1 - x0) + 1,
        height=int(y1 - y0) + 1,
        dtype=dtype.name,
        channels=names,
        has_alpha=names[0].removesuffix("R") + "A" in channels,
        rate=rate,
        timecode=_timecode(header.get("timeCode"), rate),
        primaries=_primaries(header.get("chromaticities")),
        pixel_aspect=Fraction(float(header.get("pixelAspectRatio", 1.0))).limit_denominator(1000),
        reel=str(header["reelName"]) if header.get("reelName") else None,
    )


def read_pixels(path: Path) -> NDArray[np.floating[Any]]:
    """Red, green and blue of one file, over its whole display window; 0 where the data window leaves it empty.

    Shape:
        (H, W, 3) float16 when all three channels are half, else float32; the file's numbers, bit for bit.

    Raises:
        MediaError: as `read_header`, or the pixels cannot be decoded.
    """
    file = _open(path)
    names = _colour_channels(list(file.channels()), path)
    return _placed(file, names, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteHeader:
    """What one EXR file says of itself, whatever channels it has."""

    width: int  #: of the display window
    height: int
    rate: Fraction | None
    timecode: str | None
    half: bool  #: whether its channels are half floats


def read_matte_header(path: Path) -> MatteHeader:
    """Read what the header of a matte says.

    Raises:
        MediaError: missing, not an EXR, cut off, or no matte in it.
    """
    file = _open(path)
    header, channels = file.header(), file.channels()
    (x0, y0), (x1, y1) = header["displayWindow"]
    rate = _rate(header["framesPerSecond"]) if header.get("framesPerSecond") else None
    return MatteHeader(
        width=int(x1 - x0) + 1,
        height=int(y1 - y0) + 1,
        rate=rate,
        timecode=_timecode(header.get("timeCode"), rate),
        half=_dtype(channels[_matte_channel(list(channels), None, path)], path) == np.float16,
    )


def read_matte(path: Path, channel: str | None = None) -> NDArray[np.float32]:
    """The matte in one file, over its whole display window; 0 where the data window leaves it empty.

    Args:
        path: the file.
        channel: which; "alpha" is A, "luma" the grey. When None: `uncertainty.matte`, else the only grey, else alpha.

    Raises:
        MediaError: as `read_matte_header`, or the pixels cannot be decoded or are not numbers.
    """
    file = _open(path)
    name = _matte_channel(list(file.channels()), channel, path)
    matte = _placed(file, (name,), path)[..., 0].astype(np.float32)
    if not np.isfinite(matte).all():
        raise MediaError(f"{path.name} holds pixels that are no numbers in {name}: render it again", path)
    return matte


def _matte_channel(names: list[str], channel: str | None, path: Path) -> str:
    """The channel that holds the matte."""
    if channel is not None:
        asked = {"alpha": ["A"], "luma": ["Y", "R"]}.get(channel, [channel])
        found = next((name for name in asked if name in names), None)
        if found is None:
            msg = f"{path.name} has no channel {channel!r} (it has {', '.join(names[:8])}): choose one of these"
            raise MediaError(msg, path)
        return found
    for name in ("uncertainty.matte", "Y", "R", "A"):
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    ending = [name for name in names if name.endswith((".Y", ".R", ".matte"))]
    if len(ending) == 1:
        return ending[0]
    msg = f"{path.name} has several channels ({', '.join(names[:8])}) and none is the matte's: say which one it is"
    raise MediaError(msg, path)


def _placed(file: Any, names: tuple[str, ...], path: Path) -> NDArray[np.floating[Any]]:
    """Channels of a file over its whole display window, (H, W, channels)."""
    header, channels = file.header(), file.channels()
    try:
        planes = [np.asarray(channels[name].pixels) for name in names]
    except _EXR_ERRORS as exc:
        raise _damaged(path, exc) from exc
    (left, top), (right, bottom) = header["displayWindow"]
    (x0, y0), (x1, y1) = header["dataWindow"]
    dtype = np.result_type(*planes)
    picture = np.zeros((int(bottom - top) + 1, int(right - left) + 1, len(names)), dtype)
    rows = slice(max(int(y0), int(top)), min(int(y1), int(bottom)) + 1)
    columns = slice(max(int(x0), int(left)), min(int(x1), int(right)) + 1)
    if rows.start < rows.stop and columns.start < columns.stop:
        inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        stored = (slice(rows.start - y0, rows.stop - y0), slice(columns.start - x0, columns.stop - x0))
        for channel, plane in enumerate(planes):
            picture[(*inside, channel)] = plane[stored]
    return picture


def _open(path: Path) -> Any:
    check_file(path, "picture")
    refuse_cut_exr(path)
    try:
        file = OpenEXR.File(str(path), separate_channels=True)
        file.channels()
    except _EXR_ERRORS as exc:
        raise _damaged(path, exc) from exc
    return file


def _damaged(path: Path, exc: BaseException) -> MediaError:
    return MediaError(
        f"{path.name} cannot be read as OpenEXR ({reason(exc)}): it is cut off or damaged; render or copy it again",
        path,
    )


def _colour_channels(names: list[str], path: Path) -> tuple[str, str, str]:
    """Red, green and blue: the plain ones, else those of the first layer that has all three, else luminance."""
    layers = ["", *sorted({name[:-1] for name in names if name.endswith(".R")})]
    for layer in layers:
        wanted = (f"{layer}R", f"{layer}G", f"{layer}B")
        if all(name in names for name in wanted):
            return wanted
    if "Y" in names and "RY" not in names:
        return ("Y", "Y", "Y")
    msg = f"{path.name} has no R, G and B channels (it has {', '.join(names[:6])}); render the picture into RGB"
    raise MediaError(msg, path)


def _dtype(channel: Any, path: Path) -> np.dtype[Any]:
    dtype = np.asarray(channel.pixels).dtype
    if dtype.kind != "f":
        msg = f"{path.name} holds whole numbers, not a picture; give an EXR with half or float channels"
        raise MediaError(msg, path)
    return dtype


def _rate(value: Any) -> Fraction | None:
    """The header's rate; OpenEXR's own type is a fraction, some writers put a float."""
    if isinstance(value, Fraction):
        return value if value > 0 else None
    exact = Fraction(float(value))
    ntsc = Fraction(round(exact * 1001 / 1000) * 1000, 1001)
    return ntsc if abs(ntsc - exact) < Fraction(1, 1000) else exact.limit_denominator(1001)


def exr_timecode(timecode: Timecode) -> dict[str, Any]:
    """A SMPTE label as header attributes; empty above 60 frames a second, which the attribute cannot say.

    The attribute counts frames to 29. Faster plates count pairs of frames, and the field mark says which of the two,
    as SMPTE ST 12-1 has it.
    """
    per_second = nominal_rate(timecode.rate)
    if per_second > 2 * _TIMECODE_FRAMES:
        return {}
    hours, minutes, seconds, frames = (int(part) for part in str(timecode).replace(";", ":").split(":"))
    value = OpenEXR.TimeCode()
    value.hours, value.minutes, value.seconds = hours, minutes, seconds
    value.dropFrame = timecode.drop_frame
    if per_second > _TIMECODE_FRAMES:
        value.frame, value.fieldPhase = frames // 2, bool(frames % 2)
    else:
        value.frame = frames
    return {"timeCode": value}


def _timecode(value: Any, rate: Fraction | None) -> str | None:
    if value is None:
        return None
    frames = value.frame
    if rate is not None and nominal_rate(rate) > _TIMECODE_FRAMES:
        frames = 2 * frames + int(value.fieldPhase)
    separator = ";" if value.dropFrame else ":"
    return f"{value.hours:02d}:{value.minutes:02d}:{value.seconds:02d}{separator}{frames:02d}"


def _primaries(value: Any) -> str:
    if value is None:
        return "bt709"  # what the format's specification says of a file without the attribute
    for name, known in CHROMATICITIES.items():
        if np.allclose(value, known, atol=2e-3):
            return name
    return "unknown"
