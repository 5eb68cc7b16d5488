"""Lay the generated crop into the plate: warp, colour match at the rim, grain, blend in the plate's own values.

Where coverage is 0 the plate's bytes come back unchanged, whatever they hold. The blend happens in the plate's values,
`plate * (1 - a) + to_plate(generated) * a`: an EXR highlight far above display white is faded, never clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.compose.geometry import (
    COVERAGE_FLOOR,
    covered_rect,
    crop_coordinates,
    tightened,
    warp_maps,
    warp_picture,
)
from julnet_plugin.compose.grain import grain_field
from julnet_plugin.compose.rim import rim_offset
from julnet_plugin.config import ComposeSettings
from julnet_plugin.errors import ShapeError
from julnet_plugin.face.crop import sample_crop, scaled
from julnet_plugin.matte.drive import driven_coverage, driven_image
from julnet_plugin.types import Patch, Rect

if TYPE_CHECKING:
    from julnet_plugin.matte.overrides import MattePixels
    from julnet_plugin.matte.settings import DriveState
    from julnet_plugin.types import FloatArray, PixelArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class DisplayTransform(Protocol):
    """Between the plate's own values and display-referred RGB in [0, 1]."""

    def to_display(self, pixels: PixelArray) -> Float32:
        """Plate values (…, 3) to float32 display RGB."""
        ...

    def to_plate(self, display: Float32) -> PixelArray:
        """Display RGB (…, 3) to plate values, in the plate's dtype or in float32 of the same scale."""
        ...


class Picture(Protocol):
    """A plate's picture that rectangles are cut from: an array, or what converts no more than is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        ...

    def __getitem__(self, where: tuple[slice, slice], /) -> PixelArray:
        """Rows and columns, in the plate's dtype and colour space."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropLayers:
    """What one frame has in crop space, all arrays of one size (h, w).

    `coverage` says where generated pixels are used, before the matte takes any of them back. `region` says where the
    model drew at all: its edge is the rim, and σ, error and matte are delivered wherever it is above 0, so that a plate
    held by the matte does not erase the matte.

    σ and error are of the finished picture, and therefore 0 where the coverage is.

    The matte drives the picture on the plate's own pixels, after it was warped: what is delivered is what acted, pixel
    for pixel, so that a matte which comes back from another program changes the pixels that were painted and no others.

    Shape:
        image: (h, w, 3) display RGB.
        coverage, sigma, error, matte, region: (h, w).
        doubt: (h, w) σ of the generated picture before it is laid in; `sigma` when None.
        source: (h, w, 3) the plate's crop in display RGB; sampled from the plate when None.
        held: (h, w, 3) the clean reference that a drive may hold, display RGB.

    Attributes:
        drive: what the matte does to the picture; None = nothing.
        edits: matte pixels of the plate that somebody set in another program; they replace the warped matte's.
    """

    image: FloatArray
    coverage: FloatArray
    sigma: FloatArray
    error: FloatArray
    matte: FloatArray | None = None
    region: FloatArray | None = None
    doubt: FloatArray | None = None
    source: FloatArray | None = None
    held: FloatArray | None = None
    drive: DriveState | None = None
    edits: MattePixels | None = None

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        for name in ("coverage", "sigma", "error", "matte", "region", "doubt", "source", "held"):
            array = getattr(self, name)
            if array is not None and array.shape[:2] != size:
                msg = f"{name} is {array.shape[:2]}, but the crop is {size}: all layers share one size"
                raise ShapeError(msg, actual=array.shape, expected=size)


class Compositor:
    """Turns crop layers into patches, one frame at a time; frames do not depend on one another.

    Args:
        transform: between plate values and display RGB.
        settings: see `config.ComposeSettings`.
        seed: of the grain.
        maps: whether σ, error and matte are wanted on the plate; else they are 0 in the patches.
    """

    def __init__(
        self, transform: DisplayTransform, settings: ComposeSettings | None = None, seed: int = 0, *, maps: bool = True
    ) -> None:
        self.transform = transform
        self.settings = settings or ComposeSettings()
        self.seed = seed
        self.maps = maps

    def composite(
        self,
        plate: Picture,
        layers: CropLayers,
        plate_from_crop: Float64,
        frame: int,
        noise: FloatArray | None = None,
    ) -> Patch | None:
        """Composite one frame.

        Args:
            plate: (H, W, 3) in the plate's dtype and colour space; left as it is.
            layers: the frame's arrays in crop space.
            plate_from_crop: (2, 3) canonical crop pixels to plate pixels.
            frame: plate frame number: grain differs from frame to frame.
            noise: (2, 3) the shot's noise as `GrainMeter.levels` gives it; None adds no grain.

        Returns:
            The patch, or None where nothing of the region lies on the plate: the frame passes through.
        """
        size = layers.image.shape[:2]
        matrix = _scaled(plate_from_crop, size)
        region = layers.coverage if layers.region is None else layers.region
        reach = covered_rect(region, matrix, plate.shape[:2])
        if reach is None:
            return None
        maps = warp_maps(self._stacked(layers, region), matrix, reach)
        rect = tightened(reach, maps[..., 0] >= COVERAGE_FLOOR)
        if rect is None:
            return None
        coverage, sigma, error, matte = self._unstacked(maps, reach, rect)
        if layers.edits is not None:
            layers.edits.put_into(matte, rect, drawn=_drawn(maps, reach, rect))
        shown = self._generated(plate, layers, region, plate_from_crop, rect, matte)
        if noise is not None and self.settings.grain > 0 and noise.any():
            shown += grain_field(noise * self.settings.grain, shown.shape[:2], self.seed, frame)
        generated = self.transform.to_plate(np.clip(shown, 0, 1))
        under = plate[rect.slices]
        driven = _driven(layers.drive, coverage, matte)
        return Patch(
            rect=rect,
            pixels=blend(under, generated, driven),
            coverage=driven,
            sigma=sigma,
            error=error,
            matte=matte,
            st=crop_coordinates(matrix, rect, size) if self.settings.st_map else None,
            unheld=None if driven is coverage else (blend(under, generated, coverage), coverage),
        )

    def _generated(
        self,
        plate: Picture,
        layers: CropLayers,
        region: FloatArray,
        plate_from_crop: Float64,
        rect: Rect,
        matte: Float32,
    ) -> Float32:
        """The generated picture on the plate's pixels, display RGB; a held reference where the matte asks for it."""
        matrix = _scaled(plate_from_crop, layers.image.shape[:2])
        doubt = layers.sigma if layers.doubt is None else layers.doubt
        picture = warp_picture(self._matched(plate, layers, layers.image, region, plate_from_crop, doubt), matrix, rect)
        if layers.drive is None or layers.held is None:
            return picture
        held = warp_picture(self._matched(plate, layers, layers.held, region, plate_from_crop), matrix, rect)
        return driven_image(layers.drive, picture, matte, held)

    def _matched(
        self,
        plate: Picture,
        layers: CropLayers,
        picture: FloatArray,
        region: FloatArray,
        affine: Float64,
        sigma: FloatArray | None = None,
    ) -> Float32:
        """A crop with its rim in the plate's colour; `sigma` is the model's doubt of the picture, if it drew it."""
        image = np.asarray(picture, np.float32)
        if self.settings.colour_match <= 0:
            return image
        source = layers.source
        if source is None:
            source = self._sampled(plate, affine, image.shape[:2])
        doubt = None if sigma is None else np.asarray(sigma, np.float32)
        offset = rim_offset(image, np.asarray(source, np.float32), np.asarray(region, np.float32), doubt)
        return image + self.settings.colour_match * offset

    def _stacked(self, layers: CropLayers, region: FloatArray) -> Float32:
        """Region, coverage, σ, error and perhaps the matte and where it counts in one array, 0 outside the region."""
        drawn = (region > 0).astype(np.float32)
        planes = [layers.coverage]
        planes += [layers.sigma, layers.error] if self.maps else []
        if layers.matte is not None and (self.maps or (layers.drive is not None and layers.drive.moves)):
            # where nothing of the drawn picture shows there is no matte, unless somebody painted one
            planes += [layers.matte, ((layers.coverage > 0) | (layers.matte > 0)).astype(np.float32)]
        masked = [np.multiply(p, drawn, dtype=np.float32) for p in planes]
        return np.asarray(cv2.merge([np.asarray(region, np.float32), *masked]), np.float32)

    def _unstacked(self, maps: Float32, reach: Rect, rect: Rect) -> tuple[Float32, Float32, Float32, Float32]:
        """Cut warped maps to the tight rectangle; everything is 0 outside the region, tiny coverage is 0."""
        y, x = rect.y0 - reach.y0, rect.x0 - reach.x0
        cut = maps[y : y + rect.height, x : x + rect.width]
        coverage, *rest = (np.ascontiguousarray(cut[..., k]) for k in range(1, cut.shape[-1]))
        sigma, error = (rest.pop(0), rest.pop(0)) if self.maps else (np.zeros_like(coverage), np.zeros_like(coverage))
        matte = np.zeros_like(coverage)
        if rest:  # between pixels that count only: at their rim white must stay white
            matte = np.divide(rest[0], rest[1], out=matte, where=rest[1] > 0)
        outside = ~_drawn(maps, reach, rect)
        for plane in (coverage, sigma, error, matte):
            plane[outside] = 0
        coverage[coverage < COVERAGE_FLOOR] = 0
        return np.minimum(coverage, 1), sigma, error, np.clip(matte, 0, 1)

    def _sampled(self, plate: Picture, affine: Float64, size: tuple[int, ...]) -> Float32:
        """The plate's crop in display RGB, converting only the rectangle that it needs."""
        matrix = _scaled(affine, size)
        rect = covered_rect(np.ones(size, np.float32), matrix, plate.shape[:2])
        if rect is None:
            return np.zeros((*size, 3), np.float32)
        local = np.array(affine, np.float64)
        local[:, 2] -= (rect.x0, rect.y0)
        return sample_crop(self._display(plate[rect.slices]), local, (size[0], size[1]))

    def _display(self, pixels: PixelArray) -> Float32:
        """Plate values as finite display values: EXR plates may hold NaN, infinity and values far above white."""
        display = np.asarray(self.transform.to_display(pixels), np.float32)
        return np.clip(np.nan_to_num(display, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)


def composite_frame(
    plate: PixelArray,
    transform: DisplayTransform,
    image_crop: FloatArray,
    coverage_crop: FloatArray,
    plate_from_crop: Float64,
    sigma_crop: FloatArray,
    error_crop: FloatArray,
    *,
    matte_crop: FloatArray | None = None,
    source_crop: FloatArray | None = None,
    noise: FloatArray | None = None,
    settings: ComposeSettings | None = None,
    seed: int = 0,
    frame: int = 0,
) -> Patch | None:
    """Composite one frame from plain arrays; see `Compositor.composite`."""
    layers = CropLayers(
        image=image_crop,
        coverage=coverage_crop,
        sigma=sigma_crop,
        error=error_crop,
        matte=matte_crop,
        source=source_crop,
    )
    return Compositor(transform, settings, seed).composite(plate, layers, plate_from_crop, frame, noise)


def blend(plate: PixelArray, generated: PixelArray, coverage: FloatArray) -> PixelArray:
    """Lay generated plate values over the plate through the coverage.

    Pixels where the coverage is 0 come back bit-identical, NaNs and infinities included; where it is 1 the plate does
    not show at all.

    Shape:
        plate: (h, w, 3), any supported dtype; the result has the same.
        generated: (h, w, 3), same scale.
        coverage: (h, w) in [0, 1].
    """
    a = cv2.merge([np.asarray(coverage, np.float32)] * 3)  # contiguous: three times faster than broadcasting
    below, above = plate.astype(np.float32), np.asarray(generated, np.float32)
    if plate.dtype.kind == "u":
        mixed = np.rint(below * (1 - a) + above * a)
        return cast("PixelArray", mixed.astype(plate.dtype))
    with np.errstate(invalid="ignore"):  # infinity times zero, in pixels that are replaced below
        mixed = below * (1 - a) + above * a
    np.copyto(mixed, above, where=a >= 1)
    result = np.array(plate, copy=True)
    np.copyto(result, mixed.astype(plate.dtype), where=a > 0)
    return cast("PixelArray", result)


def apply_patch(plate: PixelArray, patch: Patch | None) -> PixelArray:
    """The finished frame: a copy of the plate with the patch in it; the plate itself where there is no patch."""
    if patch is None:
        return plate
    frame = plate.copy()
    frame[patch.rect.slices] = patch.pixels
    return frame


def full_plate(layer: NDArray[Any], rect: Rect, plate_size: tuple[int, ...]) -> NDArray[Any]:
    """A patch's layer on a whole plate of zeros."""
    whole = np.zeros((*plate_size, *layer.shape[2:]), layer.dtype)
    whole[rect.slices] = layer
    return whole


def _scaled(plate_from_crop: Float64, size: tuple[int, ...]) -> Float64:
    return scaled(plate_from_crop, (size[0], size[1]))


def _driven(drive: DriveState | None, coverage: Float32, matte: Float32) -> Float32:
    """Coverage after the matte gave the plate back; the same array where it gives nothing back."""
    if drive is None or drive.mode != "hold_plate" or drive.amount == 0:
        return coverage
    driven = driven_coverage(drive, coverage, matte)
    driven[driven < COVERAGE_FLOOR] = 0
    return driven


def _drawn(maps: Float32, reach: Rect, rect: Rect) -> NDArray[np.bool_]:
    """Where the model drew, of warped maps cut to the tight rectangle."""
    y, x = rect.y0 - reach.y0, rect.x0 - reach.x0
    return np.asarray(maps[y : y + rect.height, x : x + rect.width, 0] >= COVERAGE_FLOOR)
