"""EXR deliveries: the patch with everything known of it, the matte alone, and the same in the stabilised crop.

Data windows are as tight as what they hold; the display window is the plate, or the crop. RGBA is premultiplied, as
the format asks: a plain "over" on the plate is the comp, and exactly the plate where A is 0.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from julnet_plugin.media.exr import CHROMATICITIES, exr_timecode
from julnet_plugin.media.files import replacing
from julnet_plugin.media.movie_writer import SYNTHETIC
from julnet_plugin.media.sequence_writer import SequenceSession
from julnet_plugin.media.timecode import Timecode, start_of
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from julnet_plugin.media.reader import PlateFrame
    from julnet_plugin.types import DeliveryJob, MediaInfo, Patch, PixelArray

Channels = dict[str, NDArray[np.floating[Any]]]

PATCH_LAYER = "patch"  #: the patch before the matte gave the plate back, where it does so anywhere in the take
_RGBA = ("R", "G", "B", "A")
_HALF_MAX = 65504.0


class _ExrSession(SequenceSession):
    """One EXR a frame."""

    def __init__(self, job: DeliveryJob) -> None:
        super().__init__(job)
        self._start = start_of(job.info)

    @abstractmethod
    def layers(self, frame: PlateFrame, patch: Patch | None) -> tuple[Channels, Rect, tuple[int, int]]:
        """Channels, where they lie, and the (height, width) of the display window."""

    def write_files(self, frame: PlateFrame, patch: Patch | None) -> None:
        """Write one frame."""
        channels, rect, size = self.layers(frame, patch)
        header = {
            **self._header(frame.index),
            "dataWindow": _window(rect),
            "displayWindow": _window(Rect(x0=0, y0=0, x1=size[1], y1=size[0])),
        }
        contiguous = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
        with replacing(self.path(self.name, frame.index), flushed=False) as temporary:
            OpenEXR.File(header, contiguous).write(os.fspath(temporary))

    def _header(self, index: int) -> dict[str, Any]:
        info = self.job.info
        primaries = info.colour.primaries if info.colour.primaries in CHROMATICITIES else "bt709"
        header: dict[str, Any] = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "framesPerSecond": info.rate,
            "chromaticities": CHROMATICITIES[primaries],
            "pixelAspectRatio": float(info.pixel_aspect),
            "julnet.values": self.values(),
            "julnet.synthetic": SYNTHETIC,
        }
        if info.start_timecode is not None:
            label = Timecode(frame=self._start.frame + index, rate=info.rate, drop_frame=self._start.drop_frame)
            header |= exr_timecode(label)
        if info.reel:
            header["reelName"] = info.reel
        return header

    def values(self) -> str:
        """What R, G and B are, in words, for whoever sets the colour space of a read node."""
        return plate_values(self.job.info)


def _window(rect: Rect) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """A window as OpenEXR has it: first and last pixel."""
    return np.array([rect.x0, rect.y0], np.int32), np.array([rect.x1 - 1, rect.y1 - 1], np.int32)


def plate_values(info: MediaInfo) -> str:
    """What a plate's numbers are, in words."""
    if info.colour.space:
        return f"the plate's own values, in {info.colour.space}"
    if info.colour.transfer == "linear":
        return "the plate's own values, scene-linear"
    transfer = info.colour.transfer if info.colour.transfer != "unknown" else "as video"
    return f"the plate's own code values on 0 to 1 (transfer {transfer}), not linear"


class LayersSession(_ExrSession):
    """The patch over nothing, and every map that the take has."""

    name = "exr"
    folder = "exr"

    def __init__(self, job: DeliveryJob) -> None:
        self.patterns = {"exr": "exr/layers.######.exr"}
        super().__init__(job)
        self._unheld = bool(job.settings.get("holds_plate"))

    def layers(self, frame: PlateFrame, patch: Patch | None) -> tuple[Channels, Rect, tuple[int, int]]:
        """See `_ExrSession`; a frame that passes through is one empty pixel."""
        size = (self.job.info.height, self.job.info.width)
        if patch is None:
            rect = Rect(x0=0, y0=0, x1=1, y1=1)
            none = np.zeros((1, 1), np.float32)
            maps: Channels = dict.fromkeys(_MAPS, none)
            rgba = np.zeros((1, 1, 4), np.float16)
            unheld = rgba
        else:
            rect = patch.rect
            st = np.zeros((*patch.sigma.shape, 2), np.float32) if patch.st is None else patch.st
            values = (patch.sigma, patch.error, patch.matte, st[..., 0], st[..., 1])
            maps = {name: np.asarray(plane, np.float32) for name, plane in zip(_MAPS, values, strict=True)}
            under = frame.part(rect)
            rgba = premultiplied(under, patch.pixels, np.asarray(patch.coverage, np.float32))
            pixels, coverage = patch.unheld or (patch.pixels, patch.coverage)
            unheld = premultiplied(under, pixels, np.asarray(coverage, np.float32)) if self._unheld else rgba
        channels: Channels = {name: rgba[..., k] for k, name in enumerate(_RGBA)} | maps
        if self._unheld:
            channels |= {f"{PATCH_LAYER}.{name}": unheld[..., k] for k, name in enumerate(_RGBA)}
        return channels, rect, size


_MAPS = ("uncertainty.sigma", "uncertainty.error", "uncertainty.matte", "st.s", "st.t")


def premultiplied(plate: PixelArray, comp: PixelArray, coverage: NDArray[np.float32]) -> NDArray[np.float16]:
    """What must be added to plate · (1 − coverage) to give the comp: the generated picture times its coverage.

    Shape:
        plate, comp: (h, w, 3) of the plate's dtype.
        coverage: (h, w).
        returns: (h, w, 4) half, coverage last; all 0 where the coverage is.
    """
    a = coverage.astype(np.float16)
    below, above = _unit(plate), _unit(comp)
    with np.errstate(invalid="ignore", over="ignore"):  # EXR plates may hold infinities
        added = above - below * (1 - a.astype(np.float32))[..., None]
    added = np.nan_to_num(added, nan=0.0, posinf=_HALF_MAX, neginf=-_HALF_MAX)
    if plate.dtype.kind == "u":
        added = np.maximum(added, 0)  # the plate's own rounding
    added[a == 0] = 0
    rgb = np.clip(added, -_HALF_MAX, _HALF_MAX).astype(np.float16)
    return np.concatenate([rgb, a[..., None]], axis=-1)


def _unit(pixels: PixelArray) -> NDArray[np.float32]:
    """Whole numbers on 0 to 1, floats as they are."""
    if pixels.dtype.kind == "u":
        peak = 255 if pixels.dtype == np.uint8 else 65535
        return np.divide(pixels, np.float32(peak), dtype=np.float32)
    return np.asarray(pixels, np.float32)


class MatteExrSession(_ExrSession):
    """The uncertainty matte alone, one float channel."""

    name = "matte-exr"
    folder = "matte/exr"

    def __init__(self, job: DeliveryJob) -> None:
        self.patterns = {"matte-exr": "matte/exr/matte.######.exr"}
        super().__init__(job)

    def layers(self, frame: PlateFrame, patch: Patch | None) -> tuple[Channels, Rect, tuple[int, int]]:
        """See `_ExrSession`."""
        size = (self.job.info.height, self.job.info.width)
        if patch is None:
            return {"Y": np.zeros((1, 1), np.float32)}, Rect(x0=0, y0=0, x1=1, y1=1), size
        return {"Y": np.asarray(patch.matte, np.float32)}, patch.rect, size

    def values(self) -> str:
        """See `_ExrSession`."""
        return "uncertainty matte: 1 = look here"


class CropExrSession(_ExrSession):
    """The stabilised crop as the network drew it, with its maps: what the ST coordinates of `exr` point into."""

    name = "crop-exr"
    folder = "crop"

    def __init__(self, job: DeliveryJob) -> None:
        self.patterns = {"crop-exr": "crop/layers.######.exr"}
        super().__init__(job)
        self._size = tuple(job.settings.get("crop_size") or (416, 320))

    def layers(self, frame: PlateFrame, patch: Patch | None) -> tuple[Channels, Rect, tuple[int, int]]:
        """See `_ExrSession`; nothing is held here: this is what the network made."""
        size = (self._size[0], self._size[1])
        if patch is None or patch.crop is None:
            none = np.zeros((1, 1), np.float32)
            return dict.fromkeys((*_RGBA, *_MAPS[:3]), none), Rect(x0=0, y0=0, x1=1, y1=1), size
        crop = patch.crop
        a = np.asarray(crop.coverage, np.float32)
        channels: Channels = {
            name: (np.asarray(crop.image[..., k], np.float32) * a).astype(np.float16)
            for k, name in enumerate(("R", "G", "B"))
        }
        channels["A"] = a.astype(np.float16)
        for name, plane in zip(_MAPS[:3], (crop.sigma, crop.error, crop.matte), strict=True):
            channels[name] = np.asarray(plane, np.float32)
        return channels, Rect(x0=0, y0=0, x1=a.shape[1], y1=a.shape[0]), (a.shape[0], a.shape[1])

    def values(self) -> str:
        """See `_ExrSession`."""
        return "display values on 0 to 1, in the stabilised crop"


class ExrWriter:
    """The `exr` delivery; see `interfaces.TakeWriter`."""

    name = "exr"
    kind: Literal["movie", "sequence", "matte"] = "sequence"

    def open(self, job: DeliveryJob) -> LayersSession:
        """Start, or go on with, the sequence."""
        return LayersSession(job)


class MatteExrWriter:
    """The `matte-exr` delivery."""

    name = "matte-exr"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> MatteExrSession:
        """Start, or go on with, the sequence."""
        return MatteExrSession(job)


class CropExrWriter:
    """The `crop-exr` delivery."""

    name = "crop-exr"
    kind: Literal["movie", "sequence", "matte"] = "matte"

    def open(self, job: DeliveryJob) -> CropExrSession:
        """Start, or go on with, the sequence."""
        return CropExrSession(job)
