"""Movie deliveries: ProRes, ProRes 4444 with the coverage as alpha, H.264, and the uncertainty matte beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.bands import BandEncoder
from julnet_plugin.media.colour import DisplayTransform
from julnet_plugin.media.files import replacing
from julnet_plugin.media.packets import (
    ChunkEncoder,
    Codec,
    Timing,
    add_picture_stream,
    mux_chunks,
)
from julnet_plugin.media.planes import blank_like, converted, planar_format, plane
from julnet_plugin.media.sound import Sound, SoundTrack, sound_of
from julnet_plugin.media.tags import MATRICES, RANGES, number_of
from julnet_plugin.media.timecode import timecode_of
from julnet_plugin.media.yuv import Encoding, chroma_rect, decoding_bias, lay_patch, write_alpha, write_picture
from julnet_plugin.types import ColourTags, FrameRange

if TYPE_CHECKING:
    from pathlib import Path

    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, MediaInfo, Patch, PixelArray

#: What a movie says of itself in its comment, in the words of IPTC's digital source types.
SYNTHETIC = "digitalSourceType: compositeWithTrainedAlgorithmicMedia"

_BT709 = ColourTags(matrix="bt709", range="tv", primaries="bt709", transfer="bt709", tagged=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MovieKind:
    """One way to make a movie."""

    name: str
    encoder: str
    options: dict[str, str]
    pixel_format: Callable[[MediaInfo], str]
    full_range: bool = False  #: whether it can keep a full-range plate as it is
    quantiser: int | None = None
    threads: int = 0
    compressed_sound: bool = False


def _h264_format(info: MediaInfo) -> str:
    """The plate's own subsampling and 8 or 10 bits, but never one that cannot hold the plate's size."""
    chroma = next((known for known in ("444", "422") if known in info.pixel_format and _is_yuv(info)), "420")
    if info.width % 2:
        chroma = "444"
    elif info.height % 2 and chroma == "420":
        chroma = "422"
    return f"yuv{chroma}p" if info.bit_depth <= 8 else f"yuv{chroma}p10le"


#: A fixed quantiser is four times as fast as FFmpeg's rate search and better at the same size: on a noisy 1080p picture
#: 20 against 4 frames a second of CPU time and 52.8 against 49.7 dB of luma PSNR, at 234 against 195 Mb/s.
_PRORES_QUANTISER = 4

PRORES = MovieKind(
    name="prores",
    encoder="prores_ks",
    options={"profile": "3", "vendor": "apl0"},
    pixel_format=lambda _: "yuv422p10le",
    quantiser=_PRORES_QUANTISER,
)
PRORES_4444 = MovieKind(
    name="prores4444",
    encoder="prores_ks",
    options={"profile": "4", "vendor": "apl0", "alpha_bits": "16"},
    pixel_format=lambda _: "yuva444p10le",
    quantiser=_PRORES_QUANTISER,
)
H264 = MovieKind(
    name="h264",
    encoder="libx264",
    # No B-frames: see `packets`. x264's output depends on the number of threads, so that is fixed.
    options={"crf": "16", "preset": "veryfast", "bf": "0"},
    pixel_format=_h264_format,
    full_range=True,
    threads=4,
    compressed_sound=True,
)
MATTE = MovieKind(
    name="matte",
    encoder="prores_ks",
    options={"profile": "2", "vendor": "apl0"},
    pixel_format=lambda _: "yuv422p10le",
    quantiser=_PRORES_QUANTISER,
)


class MovieWriter:
    """A movie delivery; see `interfaces.TakeWriter`."""

    kind: Literal["movie", "sequence", "matte"] = "movie"

    def __init__(self, kind: MovieKind) -> None:
        self.name = kind.name
        self._kind = kind

    def open(self, job: DeliveryJob) -> MovieSession:
        """Start, or go on with, the movie."""
        pictures = DubPictures(self._kind, job.info)
        return MovieSession(self._kind, job, pictures, job.movie_name, sound_of(job))


class MatteWriter:
    """The uncertainty matte as a movie: its luma is the matte, black where the plate is untouched."""

    name = "matte"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> MovieSession:
        """Start, or go on with, the movie."""
        return MatteSession(MATTE, job, MattePictures(job.info), "matte.mov", sound=None)


class MovieSession:
    """One movie being written; see `interfaces.DeliverySession`."""

    def __init__(
        self, kind: MovieKind, job: DeliveryJob, pictures: DubPictures | MattePictures, file: str, sound: Sound | None
    ) -> None:
        info = job.info
        self._kind, self._job, self._pictures, self._sound = kind, job, pictures, sound
        self._path = job.folder / file
        self._codec = Codec(
            name=kind.encoder,
            pixel_format=pictures.encoding.pixel_format,
            width=info.width,
            height=info.height,
            rate=info.rate,
            pixel_aspect=info.pixel_aspect,
            colour=pictures.colour,
            options=_options(kind, info),
            quantiser=kind.quantiser,
            threads=kind.threads,
        )
        self._chunk: ChunkEncoder | None = None

    def finished(self, chunk: FrameRange) -> bool:
        """Whether the chunk's packets are whole on disk."""
        return self._chunk_path(chunk).is_file()

    def begin(self, chunk: FrameRange) -> None:
        """Start a chunk with a fresh encoder."""
        self._chunk = ChunkEncoder(self._codec, self._chunk_path(chunk))

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Encode one frame."""
        assert self._chunk is not None
        self._chunk.encode(self._pictures.picture(frame, patch))

    def end(self) -> None:
        """Finish the chunk."""
        assert self._chunk is not None
        self._chunk.finish()
        self._chunk = None

    def abort(self) -> None:
        """Drop the unfinished chunk."""
        if self._chunk is not None:
            self._chunk.abort()
            self._chunk = None

    def close(self) -> dict[str, str]:
        """Put the chunks together, with sound, timecode and tags."""
        job = self._job
        chunks = [(chunk, self._chunk_path(chunk)) for chunk in job.chunks]
        timing = timing_of(job.info, job.frames)
        metadata = {"timecode": timecode_of(job.info, job.frames.start)} if job.info.start_timecode else {}
        if job.info.reel:
            metadata["reel_name"] = job.info.reel
        options = {"fflags": "+bitexact"}
        if self._sound is not None:
            # Edit lists count in this unit; in FFmpeg's milliseconds they would be off by some samples.
            options["movie_timescale"] = str(self._sound.info.sample_rate_hz)
        with (
            replacing(self._path) as temporary,
            av.open(str(temporary), "w", format=self._path.suffix[1:], options=options) as container,
        ):
            container.metadata["comment"] = SYNTHETIC
            stream = add_picture_stream(container, self._codec, timing, metadata)
            sound = None
            if self._sound is not None:
                sound = SoundTrack(container, self._sound, compressed=self._kind.compressed_sound)
            container.start_encoding()
            mux_chunks(container, stream, timing, chunks, sound.mux_until if sound else lambda _: None)
            if sound is not None:
                sound.finish()
        return {self._kind.name: self._path.name}

    def _chunk_path(self, chunk: FrameRange) -> Path:
        return self._job.work / f"{self._kind.name}.{chunk.start:08d}-{chunk.stop:08d}.packets"


class MatteSession(MovieSession):
    """A ProRes matte being written: black is encoded once, and of each frame only the rows that are not black."""

    _bands: BandEncoder | None = None

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Encode one frame."""
        assert self._chunk is not None
        pictures = self._pictures
        assert isinstance(pictures, MattePictures)
        if self._bands is None:
            self._bands = BandEncoder(self._codec, pictures.blank)
        if patch is None:
            self._chunk.add(self._bands.encode(0, 0, lambda _band, _top: None))
        else:
            packet = self._bands.encode(patch.rect.y0, patch.rect.y1, lambda band, top: pictures.draw(band, patch, top))
            self._chunk.add(packet)


def _options(kind: MovieKind, info: MediaInfo) -> dict[str, str]:
    options = dict(kind.options)
    if kind.encoder == "libx264":
        options["g"] = str(max(1, round(info.rate)))  # a key frame a second: editors scrub
        # x264's macroblock tree reads memory that nobody wrote: once in a few hundred renders a block came out another
        # way. Without it a movie of the same PSNR takes 10 to 40 % more.
        options["x264-params"] = "mbtree=0"
    return options


def timing_of(info: MediaInfo, frames: FrameRange) -> Timing:
    """The clock of a movie that holds these plate frames: even, or for a VFR plate the plate's own time stamps."""
    if info.frame_times_s is None:
        return Timing(time_base=1 / info.rate, ticks=lambda index: index)
    base = info.time_base or Fraction(1, 90_000)
    times = [Fraction(info.time_of(index)) for index in range(frames.start, frames.stop)]
    ticks = [round((time - times[0]) / base) for time in times]
    ticks.append(ticks[-1] + max(1, round(1 / info.rate / base)))
    return Timing(time_base=base, ticks=ticks.__getitem__)


class DubPictures:
    """Makes the frames of `dub.mov`: the plate in the movie's pixel format, with the patch laid into it."""

    def __init__(self, kind: MovieKind, info: MediaInfo) -> None:
        self._info = info
        self._converter = VideoReformatter()
        self._native = _is_yuv(info)
        self.colour = _movie_tags(kind, info)
        matrix = info.colour.matrix if self._native else self.colour.matrix
        if matrix in ("ycgco", "ictcp"):
            msg = f"{info.path.name} is coded as {matrix}, which cannot be converted; export it as BT.709 or BT.2020"
            raise MediaError(msg, info.path)
        offset, scale = decoding_bias(info.pixel_format, info.colour) if self._native else (0.0, 1.0)
        self.encoding = Encoding(
            pixel_format=kind.pixel_format(info),
            matrix=matrix,
            full_range=self.colour.range == "pc",
            rgb_offset=offset,
            rgb_scale=scale,
        )
        self._transform = DisplayTransform(info) if info.is_float else None

    def picture(self, frame: PlateFrame, patch: Patch | None) -> av.VideoFrame:
        """One frame of the movie. Code values outside the patch's coverage are the plate's own."""
        picture = self._converted(frame) if self._native else self._encoded(frame)
        if patch is not None:
            outer = chroma_rect(patch.rect, self.encoding, picture.width, picture.height)
            plate = self._shown(frame.part(outer))
            lay_patch(picture, self.encoding, plate, patch, self._shown(patch.pixels))
        if "yuva" in self.encoding.pixel_format:
            write_alpha(picture, patch)
        return picture

    def _converted(self, frame: PlateFrame) -> av.VideoFrame:
        """The decoder's frame in the movie's format, without a way through RGB."""
        source, target = frame.native, self.encoding
        assert source is not None
        if source.format.name == target.pixel_format:
            copy = blank_like(source, source.width, source.height)
            for index in range(len(source.planes)):
                plane(copy, index)[:] = plane(source, index)
            return copy
        matrix = _SWS_MATRIX.get(target.matrix, number_of(MATRICES, target.matrix))
        return converted(
            source,
            target.pixel_format,
            self._converter,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=number_of(RANGES, self._info.colour.range),
            dst_color_range=2 if target.full_range else 1,
        )

    def _encoded(self, frame: PlateFrame) -> av.VideoFrame:
        picture = av.VideoFrame(self._info.width, self._info.height, self.encoding.pixel_format)
        write_picture(picture, self.encoding, self._shown(frame.rgb))
        return picture

    def _shown(self, pixels: PixelArray) -> NDArray[np.float32]:
        """Plate values as the RGB that the movie encodes: display-referred for float plates, else as they are."""
        if self._transform is not None:
            return self._transform.to_display(pixels)
        return np.divide(pixels, np.float32(255 if pixels.dtype == np.uint8 else 65535), dtype=np.float32)


class MattePictures:
    """Makes the frames of a movie whose luma is the matte."""

    def __init__(self, info: MediaInfo, kind: MovieKind = MATTE) -> None:
        self._info = info
        self.colour = _BT709
        self.encoding = Encoding(pixel_format=kind.pixel_format(info), matrix="bt709", full_range=False)

    def picture(self, frame: PlateFrame, patch: Patch | None) -> av.VideoFrame:
        """One frame of the matte."""
        del frame
        picture = self.blank(self._info.height)
        if patch is not None:
            self.draw(picture, patch)
        return picture

    def blank(self, height: int) -> av.VideoFrame:
        """A black picture of the movie's width."""
        picture = av.VideoFrame(self._info.width, height, self.encoding.pixel_format)
        unit = 2 ** (self.encoding.bits - 8)
        plane(picture, 0)[:] = 16 * unit
        for index in (1, 2):
            plane(picture, index)[:] = 128 * unit
        return picture

    def draw(self, picture: av.VideoFrame, patch: Patch, top: int = 0) -> None:
        """Lay a matte into a picture whose first row is row `top` of the plate."""
        unit = 2 ** (self.encoding.bits - 8)
        low, high = 16 * unit, 235 * unit
        rows = slice(patch.rect.y0 - top, patch.rect.y1 - top)
        luma = plane(picture, 0)[rows, patch.rect.x0 : patch.rect.x1]
        luma[:] = np.rint(low + (high - low) * np.clip(patch.matte, 0, 1))


#: swscale names BT.601 by one number where H.273 has two.
_SWS_MATRIX = {"smpte170m": 5, "bt470bg": 5, "bt2020c": 9}


def _is_yuv(info: MediaInfo) -> bool:
    """Whether the plate's frames are YUV, so that they need no way through RGB."""
    if info.is_float or info.codec == "exr":
        return False
    pixels = av.VideoFormat(planar_format(info.pixel_format))
    return pixels.name.startswith("yuv") or (pixels.name.startswith("gray") and info.kind == "movie")


def _movie_tags(kind: MovieKind, info: MediaInfo) -> ColourTags:
    """The tags that a movie carries: the plate's, unknown ones included, as far as the codec can say them."""
    plate = info.colour
    if info.is_float:
        return _BT709
    if not _is_yuv(info):
        return dataclasses.replace(
            _BT709,
            primaries=plate.primaries if plate.primaries != "unknown" else "bt709",
            transfer=plate.transfer if plate.transfer != "unknown" else "bt709",
        )
    return dataclasses.replace(
        plate,
        matrix=plate.matrix if plate.tagged else "unknown",
        range=plate.range if kind.full_range else "tv",
    )
