"""What the model said, kept with the take: `data/`, so that matte and comp never need the model again.

`data/plan.npz` holds one entry a frame of the range: where the crop lies, its region, how strongly it is used.
`data/chunk.######.npz` holds what the model drew for the re-dubbed frames of one chunk, cut to the box of the crop that
the regions of the chunk touch. Values are rounded to what is stored *before* they are first composited, so that a comp
made from these files and the first render give the same bytes.

Files are zip archives of `.npy` arrays (no pickles), with fixed dates: equal takes give equal files.
"""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.workfolder import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: What reading a damaged archive can raise: of its container, its compression, or of an array's impossible header.
_DAMAGED = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, OverflowError, MemoryError),
    *(RuntimeError, NotImplementedError, SyntaxError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)

DATA = "data"
PLAN = "plan.npz"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Where the chosen face is in every frame of the range, and how strongly it is re-dubbed.

    Shape:
        plate_from_crop: (T, 2, 3) float64, canonical crop pixels to plate pixels.
        region: (T, P, 2) float32, outline of what speech can change, canonical crop pixels.
        weight: (T,) float32, factor on coverage; 0 = the frame passes through.
        shot: (T,) int32, counted from 0.
        mouth_px: (T,) float64, side of the mouth square in plate pixels.
        angles: (T, 3) float64, yaw, pitch, roll in radians.
        found: (T,) bool, the tracker saw the chosen face.
        sharpness: (T,) float32, the tracker's measure of detail; 0 where not found.
        covered: (T,) float32, share of the mouth that something lies over.
    """

    plate_from_crop: NDArray[np.float64]
    region: NDArray[np.float32]
    weight: NDArray[np.float32]
    shot: NDArray[np.int32]
    mouth_px: NDArray[np.float64]
    angles: NDArray[np.float64]
    found: NDArray[np.bool_]
    sharpness: NDArray[np.float32]
    covered: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.weight)

    def save(self, path: Path) -> None:
        """Write the plan whole or not at all."""
        write_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read what `save` wrote.

        Raises:
            TakeError: the file is missing or damaged.
        """
        return cls(**read_arrays(path, tuple(cls.__dataclass_fields__)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropChunk:
    """What the model drew for some frames, rounded to what is stored.

    Shape:
        frames: (n,) int64, position in the range of each frame held here, ascending.
        crop_size: (2,) int64, (h, w) of the whole crop.
        box: (4,) int64, half-open rows and columns (top, bottom, left, right) of the crop that are held.
        image: (n, bottom - top, right - left, 3) uint8 or uint16, display RGB.
        sigma: (n, bottom - top, right - left) float16, expected |error| on [0, 1] RGB.
        error: same, the predicted error map.
    """

    frames: NDArray[np.int64]
    crop_size: NDArray[np.int64]
    box: NDArray[np.int64]
    image: NDArray[np.uint8] | NDArray[np.uint16]
    sigma: NDArray[np.float16]
    error: NDArray[np.float16]

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the whole crop."""
        return int(self.crop_size[0]), int(self.crop_size[1])

    def image_of(self, position: int) -> NDArray[np.float32]:
        """(h, w, 3) float32 display RGB of one frame.

        Outside the box, where coverage is 0, the box's edge is repeated: resampling must not draw in anything dark.
        """
        values = self.image[self._row(position)]
        return self._whole(values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max), "edge")

    def sigma_of(self, position: int) -> NDArray[np.float32]:
        """(h, w) float32 σ of one frame; 0 outside the box."""
        return self._whole(self.sigma[self._row(position)].astype(np.float32), "constant")

    def error_of(self, position: int) -> NDArray[np.float32]:
        """(h, w) float32 predicted error of one frame; 0 outside the box."""
        return self._whole(self.error[self._row(position)].astype(np.float32), "constant")

    def __contains__(self, position: int) -> bool:
        row = int(np.searchsorted(self.frames, position))
        return row < len(self.frames) and int(self.frames[row]) == position

    def _row(self, position: int) -> int:
        if position not in self:
            msg = f"frame {position} is not in this chunk"
            raise KeyError(msg)
        return int(np.searchsorted(self.frames, position))

    def _whole(self, values: NDArray[np.float32], mode: Literal["constant", "edge"]) -> NDArray[np.float32]:
        import cv2

        top, bottom, left, right = (int(edge) for edge in self.box)
        border = cv2.BORDER_CONSTANT if mode == "constant" else cv2.BORDER_REPLICATE
        whole = cv2.copyMakeBorder(values, top, self.size[0] - bottom, left, self.size[1] - right, border)
        return np.asarray(whole, np.float32)

    def save(self, path: Path) -> None:
        """Write the chunk whole or not at all; as it is, for a third less would cost a twentieth of the render."""
        write_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__}, compressed=False)

    @classmethod
    def load(cls, path: Path) -> CropChunk:
        """Read what `save` wrote.

        Raises:
            TakeError: the file is missing or damaged.
        """
        return cls(**read_arrays(path, tuple(cls.__dataclass_fields__)))


class ChunkBuilder:
    """Collects what the network draws for one chunk, rounded to what is stored.

    Args:
        positions: frames of the range that will be added, in this order.
        box: see `CropChunk`.
        crop_size: (h, w).
        deep: 16 bits a channel instead of 8, for plates of more than 8.
    """

    def __init__(
        self, positions: list[int], box: tuple[int, int, int, int], crop_size: tuple[int, int], *, deep: bool
    ) -> None:
        top, bottom, left, right = box
        shape = (len(positions), bottom - top, right - left)
        self._part = slice(top, bottom), slice(left, right)
        self._image: NDArray[np.uint8] | NDArray[np.uint16]
        self._image = np.empty((*shape, 3), np.uint16) if deep else np.empty((*shape, 3), np.uint8)
        self._sigma, self._error = np.empty(shape, np.float16), np.empty(shape, np.float16)
        self._fixed = (positions, crop_size, box)
        self._added = 0

    def add(self, image: NDArray[np.float32], sigma: NDArray[np.float32], error: NDArray[np.float32]) -> None:
        """Add one frame: (h, w, 3) display RGB in [0, 1], and two (h, w) maps."""
        peak = np.iinfo(self._image.dtype).max
        self._image[self._added] = np.rint(np.clip(image[self._part], 0, 1) * peak)
        most = np.finfo(np.float16).max  # far beyond white: only a network that was never taught says so
        self._sigma[self._added] = np.minimum(sigma[self._part], most)
        self._error[self._added] = np.minimum(error[self._part], most)
        self._added += 1

    def finish(self) -> CropChunk:
        """The chunk; every position must have been added."""
        positions, crop_size, box = self._fixed
        assert self._added == len(positions)
        return CropChunk(
            frames=np.asarray(positions, np.int64),
            crop_size=np.asarray(crop_size, np.int64),
            box=np.asarray(box, np.int64),
            image=self._image,
            sigma=self._sigma,
            error=self._error,
        )


def chunk_name(number: int) -> str:
    """File name of one chunk's data."""
    return f"chunk.{number:06d}.npz"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = True) -> None:
    """Write named arrays as a zip of `.npy` files, lightly compressed or as they are, whole or not at all.

    `numpy.savez_compressed` would compress four times slower for a tenth less.
    """
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", method, compresslevel=1) as archive,
    ):
        for name, array in arrays.items():
            # opened by name, a member is dated 1980, not now
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)  # type: ignore[no-untyped-call]


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Read named arrays.

    Raises:
        TakeError: the file is missing, damaged or lacks one.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except _DAMAGED as exc:
        raise TakeError(f"{path} cannot be read ({exc}): the take is damaged, render it again", path) from exc
