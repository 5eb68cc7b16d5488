"""Image sequences: which files belong together, and what their headers say."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av

from julnet_plugin.errors import MediaError, TimeRangeError
from julnet_plugin.media import exr
from julnet_plugin.media.container import check_file, reason
from julnet_plugin.media.tags import read_tags
from julnet_plugin.media.timecode import parse_timecode
from julnet_plugin.types import ColourTags, MediaInfo

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

#: FFmpeg's decoder by file suffix; EXR is read by OpenEXR, which keeps half and float as they are.
DECODERS = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".dpx": "dpx",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".bmp": "bmp",
    ".exr": "",
}
#: The rate of a sequence whose files do not say: cinema's.
DEFAULT_RATE = Fraction(24)

_NUMBERED = re.compile(r"(?P<head>.*?)(?P<digits>\d+)(?P<tail>\.[^.\d]+[^.]*)", re.DOTALL)
_PATTERN = re.compile(r"(?P<head>.*?)(?:%0?\d*d|#+)(?P<tail>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sequence:
    """Files that differ in one number only, without a gap."""

    first: Path
    first_number: int
    count: int


def is_pattern(path: Path) -> bool:
    """Whether a file name stands for a sequence: "shot.%04d.exr", "shot.####.png"."""
    return path.suffix.lower() in DECODERS and _PATTERN.fullmatch(path.name) is not None and not path.exists()


def is_image(path: Path) -> bool:
    """Whether a file name is that of one picture."""
    return path.suffix.lower() in DECODERS


def frame_path(info: MediaInfo, index: int) -> Path:
    """The file of one frame of a sequence."""
    match = _NUMBERED.fullmatch(info.path.name)
    if match is None:
        return info.path
    width = len(match["digits"])
    return info.path.with_name(f"{match['head']}{info.first_number + index:0{width}d}{match['tail']}")


def find_sequence(path: Path) -> Sequence:
    """The sequence that a pattern, one of its frames, or a folder stands for.

    Raises:
        MediaError: no picture there, several sequences in one folder, an empty file, or a gap in the numbers.
    """
    files = numbered_files(path)
    numbers = sorted(files)
    _refuse_gaps(numbers, path)
    return Sequence(first=files[numbers[0]], first_number=numbers[0], count=len(numbers))


def numbered_files(path: Path) -> dict[int, Path]:
    """The files that a pattern, one of its frames, or a folder stands for, by number; there may be gaps.

    Raises:
        MediaError: no picture there, several sequences in one folder, two files of one number, or an empty file.
    """
    if path.is_dir():
        head, tail = _only_sequence_in(path)
        folder = path
    elif is_pattern(path):
        match = _PATTERN.fullmatch(path.name)
        assert match is not None
        head, tail, folder = match["head"], match["tail"], path.parent
    else:
        check_file(path, "picture")
        match = _NUMBERED.fullmatch(path.name)
        if match is None:
            return {0: path}
        head, tail, folder = match["head"], match["tail"], path.parent
    return _collect(folder, head, tail, path)


def _only_sequence_in(folder: Path) -> tuple[str, str]:
    names = [entry.name for entry in folder.iterdir() if is_image(entry) and not entry.name.startswith(".")]
    found = {(match["head"], match["tail"]) for name in names if (match := _NUMBERED.fullmatch(name))}
    if not found:
        kinds = ", ".join(suffix.lstrip(".") for suffix in DECODERS)
        msg = f"the folder {folder} holds no numbered pictures ({kinds}); give a movie, or a folder with one sequence"
        raise MediaError(msg, folder)
    if len(found) > 1:
        shown = ", ".join(f"{head}####{tail}" for head, tail in sorted(found)[:4])
        msg = f"the folder {folder} holds {len(found)} sequences ({shown}); give one of them by its pattern"
        raise MediaError(msg, folder)
    return found.pop()


def _collect(folder: Path, head: str, tail: str, asked: Path) -> dict[int, Path]:
    files: dict[int, Path] = {}
    exact = re.compile(re.escape(head) + r"(\d+)" + re.escape(tail))
    if folder.is_dir():
        for entry in folder.iterdir():
            if match := exact.fullmatch(entry.name):
                number = int(match[1])
                if number in files:
                    names = " and ".join(sorted((entry.name, files[number].name)))
                    msg = f"{names} both say frame {number}; keep one of them"
                    raise MediaError(msg, entry)
                files[number] = entry
    if not files:
        msg = f"no file matches {asked}; check the pattern and the folder"
        raise MediaError(msg, asked)
    for number in sorted(files):
        if files[number].stat().st_size == 0:
            msg = f"{files[number].name} is empty (0 bytes); render or copy it again"
            raise MediaError(msg, files[number])
    return files


def _refuse_gaps(numbers: list[int], asked: Path) -> None:
    missing_count = numbers[-1] - numbers[0] + 1 - len(numbers)
    if missing_count == 0:
        return
    present = set(numbers)
    first_missing = next(number for number in range(numbers[0], numbers[-1]) if number not in present)
    msg = (
        f"{asked.name} has a gap: frame {first_missing} is missing ({missing_count} in all between {numbers[0]} and "
        f"{numbers[-1]}); render what is missing or move the rest to another folder"
    )
    raise MediaError(msg, asked)


def probe_sequence(path: Path, rate: Fraction | None) -> MediaInfo:
    """What a sequence is, from its first file.

    Raises:
        MediaError: as `find_sequence`, or the first file cannot be decoded.
    """
    found = find_sequence(path)
    if found.first.suffix.lower() == ".exr":
        return _probe_exr(found, rate)
    return _probe_picture(found, rate)


def _probe_exr(found: Sequence, rate: Fraction | None) -> MediaInfo:
    header = exr.read_header(found.first)
    known = rate or header.rate
    return MediaInfo(
        path=found.first,
        kind="sequence",
        width=header.width,
        height=header.height,
        rate=known or DEFAULT_RATE,
        frame_count=found.count,
        first_number=found.first_number,
        start_timecode=header.timecode,
        drop_frame=header.timecode is not None and ";" in header.timecode,
        bit_depth=16 if header.dtype == "float16" else 32,
        is_float=True,
        codec="exr",
        pixel_format="rgbf16" if header.dtype == "float16" else "rgbf32",
        has_alpha=header.has_alpha,
        pixel_aspect=header.pixel_aspect,
        rate_assumed=known is None,
        colour=ColourTags(matrix="gbr", range="pc", primaries=header.primaries, transfer="linear", tagged=True),
        reel=header.reel,
    )


def _probe_picture(found: Sequence, rate: Fraction | None) -> MediaInfo:
    decoder = picture_decoder(found.first)
    frame = decode_picture(found.first, decoder)
    pixels = frame.format
    stated = decoder.framerate if found.first.suffix.lower() == ".dpx" else None
    known = rate or stated or None
    timecode = _picture_timecode(frame, known or DEFAULT_RATE)
    is_float = "f32" in pixels.name or "f16" in pixels.name
    colour = read_tags(frame, is_rgb=pixels.is_rgb or pixels.name == "pal8" or "gray" in pixels.name)
    if decoder.name == "dpx" and not is_float and colour.transfer == "linear":
        # Many writers put "linear" into the header of what is video or log; whole numbers hold no scene-linear light.
        colour = dataclasses.replace(colour, transfer="unknown")
    return MediaInfo(
        path=found.first,
        kind="sequence",
        width=frame.width,
        height=frame.height,
        rate=known or DEFAULT_RATE,
        frame_count=found.count,
        first_number=found.first_number,
        start_timecode=timecode,
        drop_frame=timecode is not None and ";" in timecode,
        bit_depth=pixels.components[0].bits,
        is_float=is_float,
        codec=decoder.name,
        pixel_format=pixels.name,
        has_alpha=any(component.is_alpha for component in pixels.components),
        pixel_aspect=decoder.sample_aspect_ratio or Fraction(1),
        rate_assumed=known is None,
        colour=colour,
    )


def _picture_timecode(frame: av.VideoFrame, rate: Fraction) -> str | None:
    label = frame.metadata.get("timecode")
    if not label:
        return None
    try:
        return str(parse_timecode(label, rate))
    except TimeRangeError:
        return None


def picture_decoder(path: Path) -> VideoCodecContext:
    """A decoder for the pictures of a sequence, by its suffix."""
    context = av.CodecContext.create(DECODERS[path.suffix.lower()], "r")
    assert isinstance(context, av.VideoCodecContext)
    return context


def decode_picture(path: Path, decoder: VideoCodecContext) -> av.VideoFrame:
    """Decode one picture file.

    Raises:
        MediaError: it is missing, cut off, or not what its suffix says.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        msg = f"{path.name} cannot be read ({reason(exc)}); check the sequence and its permissions"
        raise MediaError(msg, path) from exc
    try:
        packet = av.Packet(data)
        packet.is_keyframe = True  # else FFmpeg's PNG decoder adds the picture before
        frames = [*decoder.decode(packet), *decoder.decode(None)]
        decoder.flush_buffers()
    except av.FFmpegError as exc:
        frames = []
        log_reason = reason(exc)
    else:
        log_reason = "no picture in it"
    if not frames or frames[0].is_corrupt:
        msg = f"{path.name} cannot be decoded ({log_reason}): it is cut off or damaged; render or copy it again"
        raise MediaError(msg, path)
    return frames[0]
