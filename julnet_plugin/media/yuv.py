"""RGB to YUV code values, exactly, and laying a patch into a YUV frame without touching what it does not cover.

Source:
    ITU-T H.273 (2021), 8.3: E'Y = Kr R + (1 - Kr - Kb) G + Kb B, E'PB = (B - E'Y) / (2 - 2 Kb), and the quantisation
    of limited and full range.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.media.planes import planar_format, plane, to_rgb
from julnet_plugin.media.tags import LUMA_WEIGHTS, MATRICES, number_of
from julnet_plugin.types import Rect

if TYPE_CHECKING:
    from julnet_plugin.types import ColourTags, Patch

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How RGB becomes the code values of one planar YUV format."""

    pixel_format: str
    matrix: str  #: FFmpeg's name
    full_range: bool
    #: The RGB that comes in is `rgb_offset + rgb_scale * true`, in [0, 1]: what FFmpeg's decoder made of the plate.
    rgb_offset: float = 0.0
    rgb_scale: float = 1.0

    @property
    def bits(self) -> int:
        """Bits of one code value."""
        return int(av.VideoFormat(self.pixel_format).components[0].bits)

    @property
    def subsampling(self) -> tuple[int, int]:
        """Columns and rows of luma for one chroma sample."""
        pixels = av.VideoFormat(self.pixel_format)
        return 16 // pixels.chroma_width(16), 16 // pixels.chroma_height(16)

    @property
    def legal(self) -> tuple[int, int]:
        """Lowest and highest code value that may be written; limited range reserves the ends for sync."""
        top = 2**self.bits - 1
        if self.full_range:
            return 0, top
        reserved = 2 ** (self.bits - 8)
        return reserved, top - reserved

    def code_values(self, rgb: Float32) -> Float32:
        """Y, Cb and Cr of RGB in [0, 1], not rounded. (…, 3) to (…, 3)."""
        matrix, offset = _affine(self)
        flat = rgb.reshape(-1, 3) @ matrix.T + offset
        return np.asarray(flat.reshape(rgb.shape), np.float32)


@functools.lru_cache(maxsize=32)
def _affine(encoding: Encoding) -> tuple[Float32, Float32]:
    """The one matrix and offset from incoming RGB to code values."""
    kr, kb = LUMA_WEIGHTS.get(encoding.matrix, LUMA_WEIGHTS["bt709"])
    luma = np.array([kr, 1 - kr - kb, kb])
    rows = np.stack([luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * kb), (np.array([1, 0, 0]) - luma) / (2 - 2 * kr)])
    unit = 2 ** (encoding.bits - 8)
    if encoding.full_range:
        gain, zero = np.full(3, 2.0**encoding.bits - 1), np.array([0, 128 * unit, 128 * unit])
    else:
        gain, zero = np.array([219, 224, 224]) * unit, np.array([16, 128, 128]) * unit
    matrix = rows * gain[:, None] / encoding.rgb_scale
    offset = zero - matrix.sum(axis=1) * encoding.rgb_offset
    return matrix.astype(np.float32), offset.astype(np.float32)


@functools.lru_cache(maxsize=32)
def decoding_bias(pixel_format: str, tags: ColourTags) -> tuple[float, float]:
    """How FFmpeg's RGB of a YUV format differs from the true one: `rgb = offset + scale * true`, both in [0, 1].

    It rounds down in 8 bits and scales 16-bit RGB to 65280. Measured on a grey ramp rather than assumed, so that the
    way back undoes what this very build of FFmpeg does.
    """
    name = planar_format(pixel_format)
    truth = Encoding(pixel_format=name, matrix=tags.matrix, full_range=tags.range == "pc")
    black, white = (float(truth.code_values(np.full(3, level, np.float32))[0]) for level in (0.0, 1.0))
    codes = np.arange(round(black), round(white) + 1)
    ramp = av.VideoFrame(len(codes) + len(codes) % 2, 4, name)
    plane(ramp, 0)[:] = black
    plane(ramp, 0)[:, : len(codes)] = codes
    for index in range(1, len(ramp.planes)):
        plane(ramp, index)[:] = 2 ** (truth.bits - 1)
    ramp.colorspace = number_of(MATRICES, tags.matrix)
    ramp.color_range = 2 if truth.full_range else 1
    decoded = to_rgb(ramp)
    levels = decoded[0, : len(codes)].mean(axis=1) / (255 if decoded.dtype == np.uint8 else 65535)
    scale, offset = np.polyfit((codes - black) / (white - black), levels, 1)
    return float(offset), float(scale)


def write_picture(frame: av.VideoFrame, encoding: Encoding, rgb: Float32) -> None:
    """Fill a YUV frame from RGB.

    Shape:
        rgb: (H, W, 3) float32 in [0, 1].
    """
    values = encoding.code_values(rgb)
    plane(frame, 0)[:] = _rounded(values[..., 0], encoding)
    for index in (1, 2):
        plane(frame, index)[:] = _rounded(_box_mean(values[..., index], encoding.subsampling), encoding)


def lay_patch(frame: av.VideoFrame, encoding: Encoding, plate: Float32, patch: Patch, pixels: Float32) -> None:
    """Lay a patch into a YUV frame that holds the plate.

    Code values are `yuv(patch) + (1 - coverage) * (frame - yuv(plate))`: under full coverage the patch, exactly; where
    coverage falls off, what RGB cannot say of the plate (rounding, colours outside the cube) fades with it; where it
    is 0, the plate's own code value, bit for bit. Chroma changes only where a luma sample beneath it is covered.

    Shape:
        plate: (h, w, 3) float32 in [0, 1], what `frame` shows in the rectangle `chroma_rect(patch.rect, …)`.
        pixels: (rect.height, rect.width, 3) the patch's picture on the same scale.
    """
    outer = chroma_rect(patch.rect, encoding, frame.width, frame.height)
    inner = _inside(patch.rect, outer)
    covered = np.asarray(patch.coverage, np.float32)[..., None]
    coverage = np.zeros((outer.height, outer.width), np.float32)
    coverage[inner] = covered[..., 0]
    # The patch less what is left of the plate, through the matrix once; both are linear.
    change = np.zeros((outer.height, outer.width, 3), np.float32)
    change[inner] = (pixels - (1 - covered) * plate[inner]) * (covered > 0)
    matrix, offset = _affine(encoding)
    changes = (change.reshape(-1, 3) @ matrix.T).reshape(change.shape)
    for index in range(3):
        across, down = step = encoding.subsampling if index else (1, 1)
        weight = _box_mean(coverage, step)
        rows = slice(outer.y0 // down, -(-outer.y1 // down))
        site = plane(frame, index)[rows, outer.x0 // across : -(-outer.x1 // across)]
        blended = _box_mean(changes[..., index], step) + weight * offset[index] + (1 - weight) * site
        np.copyto(site, _rounded(blended, encoding), where=weight > 0, casting="unsafe")


def chroma_rect(rect: Rect, encoding: Encoding, width: int, height: int) -> Rect:
    """The smallest rectangle around another that does not cut a chroma sample, inside the picture."""
    across, down = encoding.subsampling
    return Rect(
        x0=rect.x0 // across * across,
        y0=rect.y0 // down * down,
        x1=min(width, -(-rect.x1 // across) * across),
        y1=min(height, -(-rect.y1 // down) * down),
    )


def write_alpha(frame: av.VideoFrame, patch: Patch | None) -> None:
    """Make a frame's alpha the patch's coverage; any coverage above 0 is at least one code value."""
    alpha = plane(frame, 3)
    alpha[:] = 0
    if patch is not None:
        peak = 2 ** frame.format.components[3].bits - 1
        alpha[patch.rect.slices] = np.ceil(np.clip(patch.coverage, 0, 1) * peak)


def _inside(rect: Rect, outer: Rect) -> tuple[slice, slice]:
    return (
        slice(rect.y0 - outer.y0, rect.y1 - outer.y0),
        slice(rect.x0 - outer.x0, rect.x1 - outer.x0),
    )


def _box_mean(values: Float32, step: tuple[int, int]) -> Float32:
    """Means over boxes of (columns, rows); a box that reaches over the edge repeats the last row or column.

    Nearest-sample chroma, which is how FFmpeg reads it, has the box as its inverse: a decode and an encode in a row
    give the same chroma.
    """
    across, down = step
    if step == (1, 1):
        return values
    height, width = values.shape
    ragged = height % down or width % across
    padded = np.pad(values, ((0, -height % down), (0, -width % across)), mode="edge") if ragged else values
    total = sum(padded[row::down, column::across] for row in range(down) for column in range(across))
    return np.asarray(total * np.float32(1 / (across * down)), np.float32)


def _rounded(values: Float32, encoding: Encoding) -> NDArray[Any]:
    low, high = encoding.legal
    dtype = np.uint8 if encoding.bits <= 8 else np.uint16
    return np.clip(np.rint(values), low, high).astype(dtype)
