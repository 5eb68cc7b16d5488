"""Sequence deliveries: PNG for anybody, EXR with σ, error and ST coordinates for compositors."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.colour import DisplayTransform, plate_dtype, to_dtype
from julnet_plugin.media.exr import CHROMATICITIES, exr_timecode
from julnet_plugin.media.files import flush, replacing, writing
from julnet_plugin.media.movie_writer import SYNTHETIC
from julnet_plugin.media.timecode import Timecode, start_of

if TYPE_CHECKING:
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, FloatArray, FrameRange, MediaInfo, Patch, PixelArray


def composited(frame: PlateFrame, patch: Patch | None) -> PixelArray:
    """The whole picture: the plate, and the patch where its coverage is above 0. Read-only where nothing changes."""
    if patch is None:
        return frame.rgb
    picture = frame.rgb.copy()
    region = picture[patch.rect.slices]
    np.copyto(region, patch.pixels, where=(np.asarray(patch.coverage) > 0)[..., None])
    return picture


def full_size(info: MediaInfo, patch: Patch | None, values: FloatArray | None) -> NDArray[np.float32]:
    """A patch's map laid over the whole plate, 0 outside. (H, W) or (H, W, 2) as the map."""
    if patch is None or values is None:
        return np.zeros((info.height, info.width), np.float32)
    whole = np.zeros((info.height, info.width, *values.shape[2:]), np.float32)
    whole[patch.rect.slices] = values
    return whole


class _SequenceSession(ABC):
    """Files of a sequence, one or more a frame; see `interfaces.DeliverySession`.

    A chunk counts as finished when its files are on the disk and a mark in the work folder says so; a file that has
    its final name is whole in any case.
    """

    name: str
    folder: str
    patterns: dict[str, str]  #: what the delivery consists of, by kind

    def __init__(self, job: DeliveryJob) -> None:
        self.job = job
        self._begun: FrameRange | None = None
        with writing(job.folder / self.folder):
            (job.folder / self.folder).mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write the files of one frame."""

    def path(self, kind: str, index: int) -> Path:
        """The file of one kind for one plate frame, numbered as the plate's own files."""
        number = self.job.info.first_number + index
        return self.job.folder / self.patterns[kind].replace("######", f"{number:06d}")

    def finished(self, chunk: FrameRange) -> bool:
        """Whether the chunk's files are whole on disk."""
        return self._mark(chunk).is_file()

    def begin(self, chunk: FrameRange) -> None:
        """Start a chunk."""
        self._begun = chunk

    def write(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write one frame."""
        self.write_files(frame, patch)

    def end(self) -> None:
        """Have the chunk's files on the disk, and mark it."""
        chunk = self._begun
        assert chunk is not None
        with writing(self.job.folder / self.folder):
            for index in range(chunk.start, chunk.stop):
                for kind in self.patterns:
                    flush(self.path(kind, index))
        with replacing(self._mark(chunk)) as temporary:
            temporary.touch()
        self._begun = None

    def abort(self) -> None:
        """Forget the unfinished chunk; its files will be written over."""
        self._begun = None

    def close(self) -> dict[str, str]:
        """Say what was written."""
        for chunk in self.job.chunks:
            if not self.finished(chunk):
                msg = f"the {self.name} delivery lacks frames {chunk.start} to {chunk.stop - 1}; resume the take"
                raise MediaError(msg, self.job.folder)
        return dict(self.patterns)

    def _mark(self, chunk: FrameRange) -> Path:
        return self.job.work / f"{self.name}.{chunk.start:08d}-{chunk.stop:08d}.done"


class PngSession(_SequenceSession):
    """Dub, coverage and uncertainty as PNG: 8 bits for 8-bit plates, else 16."""

    name = "png"
    folder = "png"

    def __init__(self, job: DeliveryJob) -> None:
        self.patterns = {
            "png": "png/dub.######.png",
            "coverage": "png/coverage.######.png",
            "uncertainty": "png/uncertainty.######.png",
        }
        super().__init__(job)
        self._dtype = np.dtype(np.uint8 if plate_dtype(job.info) == np.uint8 else np.uint16)
        #: PNG cannot keep float pixels: a float plate is delivered as a display shows it, in 16 bits.
        self._transform = DisplayTransform(job.info) if job.info.is_float else None

    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write the three pictures of one frame."""
        info, index = self.job.info, frame.index
        coverage = full_size(info, patch, None if patch is None else patch.coverage)
        matte = full_size(info, patch, None if patch is None else patch.matte)
        picture = composited(frame, patch)
        if self._transform is not None:
            picture = to_dtype(self._transform.to_display(picture) * np.float32(65535), self._dtype)
        write_png(self.path("png", index), picture)
        # Upwards: coverage 0 in the file must mean that the plate is untouched.
        write_png(self.path("coverage", index), self._levels(coverage, np.ceil))
        write_png(self.path("uncertainty", index), self._levels(matte, np.rint))

    def _levels(self, values: NDArray[np.float32], rounding: Any) -> PixelArray:
        peak = 255 if self._dtype == np.uint8 else 65535
        return rounding(np.clip(values, 0, 1) * np.float64(peak)).astype(self._dtype)  # type: ignore[no-any-return]


_PNG_FORMATS = {(3, 1): "rgb24", (3, 2): "rgb48be", (2, 1): "gray", (2, 2): "gray16be"}


def write_png(path: Path, pixels: PixelArray) -> None:
    """Write an (H, W, 3) or (H, W) picture of uint8 or uint16.

    Raises:
        MediaError: it cannot be written.
    """
    array: Any = np.ascontiguousarray(pixels)
    pixel_format = _PNG_FORMATS[pixels.ndim, pixels.dtype.itemsize]
    with replacing(path, flushed=False) as temporary:
        encoder = av.CodecContext.create("png", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = pixels.shape[1], pixels.shape[0]
        encoder.pix_fmt = pixel_format
        encoder.time_base = Fraction(1)
        encoder.options = {"compression_level": "1", "pred": "sub"}
        encoder.thread_count = 1
        frame = av.VideoFrame.from_ndarray(array, pixel_format)  # swaps bytes itself
        frame.pts = 0
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        temporary.write_bytes(b"".join(bytes(packet) for packet in packets))


class ExrSession(_SequenceSession):
    """One EXR a frame with the picture and every map that the take has."""

    name = "exr"
    folder = "exr"

    def __init__(self, job: DeliveryJob) -> None:
        self.patterns = {"exr": "exr/layers.######.exr"}
        super().__init__(job)
        self._start = start_of(job.info)
        plate = plate_dtype(job.info)
        #: Half where it holds the plate's numbers exactly; 16-bit whole numbers need float.
        self._dtype = np.dtype(np.float16 if plate in (np.uint8, np.float16) else np.float32)

    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write one frame."""
        info = self.job.info
        picture = composited(frame, patch)
        if picture.dtype.kind == "u":
            picture = np.divide(picture, np.float32(255 if picture.dtype == np.uint8 else 65535), dtype=np.float32)
        maps = {
            "A": None if patch is None else patch.coverage,
            "uncertainty.sigma": None if patch is None else patch.sigma,
            "uncertainty.error": None if patch is None else patch.error,
            "uncertainty.matte": None if patch is None else patch.matte,
            "st.s": None if patch is None or patch.st is None else patch.st[..., 0],
            "st.t": None if patch is None or patch.st is None else patch.st[..., 1],
        }
        channels: dict[str, Any] = {name: full_size(info, patch, values) for name, values in maps.items()}
        for number, name in enumerate("RGB"):
            channels[name] = np.ascontiguousarray(picture[..., number], self._dtype)
        with replacing(self.path("exr", frame.index), flushed=False) as temporary:
            OpenEXR.File(self._header(frame.index), channels).write(os.fspath(temporary))

    def _header(self, index: int) -> dict[str, Any]:
        info = self.job.info
        primaries = info.colour.primaries if info.colour.primaries in CHROMATICITIES else "bt709"
        header: dict[str, Any] = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "framesPerSecond": info.rate,
            "chromaticities": CHROMATICITIES[primaries],
            "pixelAspectRatio": float(info.pixel_aspect),
            "julnet.values": _values(info),
            "julnet.synthetic": SYNTHETIC,
        }
        if info.start_timecode is not None:
            label = Timecode(frame=self._start.frame + index, rate=info.rate, drop_frame=self._start.drop_frame)
            header |= exr_timecode(label)
        if info.reel:
            header["reelName"] = info.reel
        return header


def _values(info: MediaInfo) -> str:
    """What R, G and B are, in words, for whoever sets the colour space of a read node."""
    if info.colour.space:
        return f"the plate's own values, in {info.colour.space}"
    if info.colour.transfer == "linear":
        return "the plate's own values, scene-linear"
    transfer = info.colour.transfer if info.colour.transfer != "unknown" else "as video"
    return f"the plate's own code values on 0 to 1 (transfer {transfer}), not linear"


class PngWriter:
    """The `png` delivery; see `interfaces.TakeWriter`."""

    name = "png"
    kind: Literal["movie", "sequence"] = "sequence"

    def open(self, job: DeliveryJob) -> PngSession:
        """Start, or go on with, the sequence."""
        return PngSession(job)


class ExrWriter:
    """The `exr` delivery; see `interfaces.TakeWriter`."""

    name = "exr"
    kind: Literal["movie", "sequence"] = "sequence"

    def open(self, job: DeliveryJob) -> ExrSession:
        """Start, or go on with, the sequence."""
        return ExrSession(job)
