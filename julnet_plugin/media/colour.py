"""Between a plate's own values and what a display shows: the network sees the second, the take keeps the first.

SDR video is display-referred already: its values are only scaled, and come back exactly. Log, HDR and scene-linear
plates go through OpenColorIO, with the config that `$OCIO` names or else the ACES studio config inside the library.
"""

from __future__ import annotations

import difflib
import functools
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813 - as its own documentation writes it
from numpy.typing import NDArray

from julnet_plugin.errors import SettingsError

if TYPE_CHECKING:
    from julnet_plugin.types import FloatArray, MediaInfo, PixelArray

Float32 = NDArray[np.float32]

STUDIO_CONFIG = "ocio://studio-config-latest"
_ACES = "ACES2065-1"
_SDR = ("Rec.1886 Rec.709 - Display", "ACES 2.0 - SDR 100 nits (Rec.709)")
#: HDR deliveries are turned back into a scene with the view that would have made them, then viewed in SDR.
_HDR = {
    "smpte2084": ("Rec.2100-PQ - Display", "ACES 2.0 - HDR 1000 nits (Rec.2020)"),
    "arib-std-b67": ("Rec.2100-HLG - Display", "ACES 2.0 - HDR 1000 nits (P3 D65)"),
}
_LINEAR = {
    "bt709": "Linear Rec.709 (sRGB)",
    "bt2020": "Linear Rec.2020",
    "smpte432": "Linear P3-D65",
    "aces-ap0": _ACES,
    "aces-ap1": "ACEScg",
}
_LUT_SIZE = 48


class DisplayTransform:
    """Converts any rectangle of a plate to display-referred Rec.709 RGB and back.

    Args:
        info: the plate; its tags choose the transform.
        space: OpenColorIO name of the plate's colour space, where its tags cannot say (log, ACES, camera); None = the
            one in `info.colour.space`, or what the tags say.

    Raises:
        SettingsError: the config does not know the space, or `$OCIO` names a config that cannot be read.
    """

    def __init__(self, info: MediaInfo, space: str | None = None) -> None:
        self.dtype = plate_dtype(info)
        tags = info.colour
        self._forward, self._backward = _processors(
            space or tags.space, tags.transfer, tags.primaries, os.environ.get("OCIO")
        )
        self._preview: Any = None

    @property
    def identity(self) -> bool:
        """Whether the plate is display-referred already, so that values are only scaled."""
        return self._forward is None

    def to_display(self, pixels: PixelArray) -> Float32:
        """What a Rec.709 display shows of the plate.

        Shape:
            pixels: (…, 3) plate values, in the dtype of `PlateFrame.rgb`.
            return: (…, 3) float32 in [0, 1].
        """
        values = _scaled(pixels)
        if self._forward is not None:
            values = _applied(self._forward, values)
        return np.clip(values, 0.0, 1.0, out=values)

    def to_plate(self, display: FloatArray, dtype: np.dtype[Any] | type | None = None) -> PixelArray:
        """The plate values that show as these; the inverse of `to_display` inside [0, 1].

        Args:
            display: (…, 3) display-referred RGB; clipped to [0, 1].
            dtype: the plate's, for values rounded to it; None = float32 on the same scale (0 to 255 for uint8, 0 to
                65535 for uint16, as they are for float), for arithmetic that is rounded later.
        """
        values = np.clip(np.asarray(display, np.float32), 0.0, 1.0)
        if self._backward is not None:
            values = _applied(self._backward, values)
        peak = _peak(self.dtype)
        if peak != 1.0:
            values = values * np.float32(peak)
        return values if dtype is None else to_dtype(values, np.dtype(dtype))

    def to_preview(self, pixels: PixelArray) -> NDArray[np.uint8]:
        """Like `to_display`, quick and in 8 bits: for finding faces and for looking at, not for compositing.

        OpenColorIO's tone curve is replaced by a table, which is off by less than 1 of 255 on average.
        """
        if self._forward is None:
            if pixels.dtype == np.uint8:
                return np.asarray(pixels, np.uint8)
            if pixels.dtype == np.uint16:
                return np.right_shift(np.asarray(pixels, np.uint16), 8).astype(np.uint8)
            return to_dtype(_scaled(pixels) * np.float32(255), np.dtype(np.uint8))  # type: ignore[return-value]
        if self._preview is None:
            self._preview = _tabled(self._forward, linear=self.dtype.kind == "f")
        shown = _applied(self._preview, _scaled(pixels))
        return to_dtype(shown * np.float32(255), np.dtype(np.uint8))  # type: ignore[return-value]


def plate_dtype(info: MediaInfo) -> np.dtype[Any]:
    """The dtype of a plate's `PlateFrame.rgb`."""
    if info.is_float:
        return np.dtype(np.float16 if info.bit_depth == 16 else np.float32)
    return np.dtype(np.uint8 if info.bit_depth <= 8 else np.uint16)


def to_dtype(values: Float32, dtype: np.dtype[Any]) -> PixelArray:
    """Round and clip to whole numbers, or cast to another float."""
    if dtype.kind == "u":
        return np.clip(np.rint(values), 0, _peak(dtype)).astype(dtype)
    return values.astype(dtype)


def _peak(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0


def _scaled(pixels: PixelArray) -> Float32:
    """Plate values as fresh float32 with 1.0 at the top of a whole-number plate; what is not a number becomes 0."""
    peak = _peak(pixels.dtype)
    if pixels.dtype.kind == "u":
        return np.divide(pixels, np.float32(peak), dtype=np.float32)
    return np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=65504.0, neginf=-65504.0)


def _applied(processor: Any, values: Float32) -> Float32:
    rows = np.ascontiguousarray(values.reshape(1, -1, 3), np.float32)
    if rows.size:
        processor.applyRGB(rows)
    return np.asarray(rows.reshape(values.shape), np.float32)


@functools.lru_cache(maxsize=8)
def _processors(space: str | None, transfer: str, primaries: str, user_config: str | None) -> tuple[Any, Any]:
    """Forward and backward processors; (None, None) for what is display-referred already."""
    if space is not None:
        config, space = _find_space(space, user_config)
        return _from_space(config, space)
    if transfer in _HDR:
        return _from_hdr(*_HDR[transfer])
    if transfer == "linear":
        return _from_space(_studio(), _LINEAR.get(primaries, _LINEAR["bt709"]))
    return None, None


def _from_space(config: Any, space: str) -> tuple[Any, Any]:
    encoding = config.getColorSpace(space).getEncoding()
    if encoding in ("sdr-video", "data"):
        return None, None
    for display, view in _HDR.values():
        if space == display:
            return _from_hdr(display, view)
    display, view = _sdr_view(config)
    transform = ocio.DisplayViewTransform(space, display, view)
    return _both_ways(config, transform)


def _from_hdr(display: str, view: str) -> tuple[Any, Any]:
    to_scene = ocio.DisplayViewTransform(_ACES, display, view, direction=ocio.TRANSFORM_DIR_INVERSE)
    return _both_ways(_studio(), ocio.GroupTransform([to_scene, ocio.DisplayViewTransform(_ACES, *_SDR)]))


def _both_ways(config: Any, transform: Any) -> tuple[Any, Any]:
    return tuple(
        config.getProcessor(transform, direction).getDefaultCPUProcessor()
        for direction in (ocio.TRANSFORM_DIR_FORWARD, ocio.TRANSFORM_DIR_INVERSE)
    )


def _sdr_view(config: Any) -> tuple[str, str]:
    """The config's own way to look at a scene on a Rec.709 display, or the nearest it has."""
    displays = list(config.getDisplays())
    for wanted in ("1886", "rec.709", "rec709", "srgb"):
        for display in displays:
            if wanted in display.lower() and "p3" not in display.lower():
                return display, config.getDefaultView(display)
    display = config.getDefaultDisplay()
    return display, config.getDefaultView(display)


def _find_space(name: str, user_config: str | None) -> tuple[Any, str]:
    """The config that knows a colour space, and the space's own name there."""
    configs = [*([_read_config(user_config)] if user_config else []), _studio()]
    for config in configs:
        found = config.getColorSpace(name)
        if found is not None:
            return config, str(found.getName())
    known = [alias for config in configs for alias in _names(config)]
    lowered = {alias.lower(): alias for alias in known}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.4)
    shown = ", ".join(f'"{lowered[alias]}"' for alias in near) or "the names that the OpenColorIO config lists"
    msg = f'colour space "{name}" is not in the OpenColorIO config; nearest: {shown}'
    raise SettingsError(msg, "colour_space")


def _names(config: Any) -> list[str]:
    spaces = [config.getColorSpace(name) for name in config.getColorSpaceNames()]
    return [alias for space in spaces for alias in (space.getName(), *space.getAliases())]


@functools.lru_cache(maxsize=1)
def _studio() -> Any:
    return ocio.Config.CreateFromFile(STUDIO_CONFIG)


@functools.lru_cache(maxsize=2)
def _read_config(path: str) -> Any:
    try:
        return ocio.Config.CreateFromFile(path)
    except ocio.Exception as exc:
        detail = " ".join(str(exc).split())[:120]
        msg = f"the OpenColorIO config {path} that $OCIO names cannot be read ({detail}); correct or unset $OCIO"
        raise SettingsError(msg, "OCIO") from exc


def _tabled(processor: Any, *, linear: bool) -> Any:
    """A quick stand-in for a processor: a table, behind a curve that spreads linear values evenly over it."""
    spread = ocio.LogCameraTransform(
        linSideBreak=[2.0**-9] * 3, base=2.0, logSideSlope=[1 / 18] * 3, logSideOffset=[0.62] * 3
    )
    config = ocio.Config.CreateRaw()
    unspread = config.getProcessor(spread, ocio.TRANSFORM_DIR_INVERSE).getDefaultCPUProcessor()
    axis = np.linspace(0, 1, _LUT_SIZE, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    table = _applied(processor, _applied(unspread, grid) if linear else grid)
    lut = ocio.Lut3DTransform(gridSize=_LUT_SIZE)
    lut.setInterpolation(ocio.INTERP_TETRAHEDRAL)
    lut.setData(np.ascontiguousarray(table).ravel())
    steps = ocio.GroupTransform([spread, lut] if linear else [lut])
    return config.getProcessor(steps).getDefaultCPUProcessor()
