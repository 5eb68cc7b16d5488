"""Sequence deliveries: what they share, and the PNG pictures for anybody. `exr_writer` has those for compositors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.colour import DisplayTransform, plate_dtype, to_dtype
from julnet_plugin.media.files import flush, replacing, writing

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


class SequenceSession(ABC):
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


class PngSession(SequenceSession):
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
        write_picture(self.path("png", index), picture)
        # Upwards: coverage 0 in the file must mean that the plate is untouched.
        write_picture(self.path("coverage", index), self._levels(coverage, np.ceil))
        write_picture(self.path("uncertainty", index), self._levels(matte, np.rint))

    def _levels(self, values: NDArray[np.float32], rounding: Any) -> PixelArray:
        return levels(values, self._dtype, rounding)


def levels(values: NDArray[np.float32], dtype: np.dtype[Any], rounding: Any = np.rint) -> PixelArray:
    """Numbers from 0 to 1 as whole numbers over the dtype's whole range."""
    return rounding(np.clip(values, 0, 1) * np.float64(np.iinfo(dtype).max)).astype(dtype)  # type: ignore[no-any-return]


#: FFmpeg's encoder of a suffix, its options, and its pixel formats by (array axes, bytes of a sample).
_PICTURES: dict[str, tuple[str, dict[str, str], dict[tuple[int, int], str]]] = {
    ".png": (
        "png",
        {"compression_level": "1", "pred": "sub"},
        {(3, 1): "rgb24", (3, 2): "rgb48be", (2, 1): "gray", (2, 2): "gray16be"},
    ),
    ".tif": (
        "tiff",
        {"compression_algo": "deflate"},
        {(3, 1): "rgb24", (3, 2): "rgb48le", (2, 1): "gray", (2, 2): "gray16le"},
    ),
}


def write_picture(path: Path, pixels: PixelArray) -> None:
    """Write an (H, W, 3) or (H, W) picture of uint8 or uint16, as PNG or TIFF by the path's suffix.

    Raises:
        MediaError: it cannot be written.
    """
    array: Any = np.ascontiguousarray(pixels)
    name, options, formats = _PICTURES[path.suffix]
    pixel_format = formats[pixels.ndim, pixels.dtype.itemsize]
    with replacing(path, flushed=False) as temporary:
        encoder = av.CodecContext.create(name, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = pixels.shape[1], pixels.shape[0]
        encoder.pix_fmt = pixel_format
        encoder.time_base = Fraction(1)
        encoder.options = options
        encoder.thread_count = 1
        frame = av.VideoFrame.from_ndarray(array, pixel_format)  # swaps bytes itself
        frame.pts = 0
        packets = [*encoder.encode(frame), *encoder.encode(None)]
        temporary.write_bytes(b"".join(bytes(packet) for packet in packets))


class PngWriter:
    """The `png` delivery; see `interfaces.TakeWriter`."""

    name = "png"
    kind: Literal["movie", "sequence", "matte"] = "sequence"

    def open(self, job: DeliveryJob) -> PngSession:
        """Start, or go on with, the sequence."""
        return PngSession(job)
