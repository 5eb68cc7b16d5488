"""What the model said, kept with the take: `data/`, so that matte and comp never need the model again.

`data/plan.npz` holds one entry a frame of the range: where the crop lies, its region, how strongly it is used.
`data/chunk.######.npz` holds what the model drew for the re-dubbed frames of one chunk, cut to the box of the crop that
the regions of the chunk touch. Values are rounded to what is stored *before* they are first composited, so that a comp
made from these files and the first render give the same bytes.

Files are zip archives of `.npy` arrays (no pickles), with fixed dates: equal takes give equal files.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.errors import TakeError
from julnet_plugin.pipeline.workfolder import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    """

    plate_from_crop: NDArray[np.float64]
    region: NDArray[np.float32]
    weight: NDArray[np.float32]
    shot: NDArray[np.int32]
    mouth_px: NDArray[np.float64]
    angles: NDArray[np.float64]
    found: NDArray[np.bool_]

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
        top, bottom, left, right = (int(edge) for edge in self.box)
        pads = ((top, self.size[0] - bottom), (left, self.size[1] - right), (0, 0))[: values.ndim]
        return np.pad(values, pads, mode=mode)

    def save(self, path: Path) -> None:
        """Write the chunk whole or not at all."""
        write_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> CropChunk:
        """Read what `save` wrote.

        Raises:
            TakeError: the file is missing or damaged.
        """
        return cls(**read_arrays(path, tuple(cls.__dataclass_fields__)))


def pack_chunk(
    positions: list[int],
    images: list[NDArray[np.float32]],
    sigmas: list[NDArray[np.float32]],
    errors: list[NDArray[np.float32]],
    box: tuple[int, int, int, int],
    crop_size: tuple[int, int],
    *,
    deep: bool,
) -> CropChunk:
    """Round the model's output to what is stored, and keep the box only.

    Args:
        positions: of the frames in the range.
        images: (h, w, 3) each, display RGB in [0, 1].
        sigmas: (h, w) each.
        errors: (h, w) each.
        box: see `CropChunk`.
        crop_size: (h, w).
        deep: 16 bits a channel, for plates of more than 8.
    """
    top, bottom, left, right = box
    kind: type[np.uint8] | type[np.uint16] = np.uint16 if deep else np.uint8
    scale = np.iinfo(kind).max

    def cut(maps: list[NDArray[np.float32]], dtype: Any, factor: float, *channels: int) -> NDArray[Any]:
        out = np.empty((len(maps), bottom - top, right - left, *channels), dtype)
        for row, values in zip(out, maps, strict=True):
            part = values[top:bottom, left:right]
            row[...] = part if factor == 1 else np.rint(np.clip(part, 0, 1) * factor)
        return out

    return CropChunk(
        frames=np.asarray(positions, np.int64),
        crop_size=np.asarray(crop_size, np.int64),
        box=np.asarray(box, np.int64),
        image=cut(images, kind, scale, 3),
        sigma=cut(sigmas, np.float16, 1),
        error=cut(errors, np.float16, 1),
    )


def chunk_name(number: int) -> str:
    """File name of one chunk's data."""
    return f"chunk.{number:06d}.npz"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as a zip of `.npy` files, lightly compressed, whole or not at all.

    `numpy.savez_compressed` would compress four times slower for a tenth less.
    """
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
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
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.error) as exc:
        raise TakeError(f"{path} cannot be read ({exc}): the take is damaged, render it again", path) from exc
