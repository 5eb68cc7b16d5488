"""The built-in steps of the chain, registered by the same hook as a plugin's.

Each is a function of one frame's matte in face space. Lengths arrive in plate pixels, as the user thinks of them, and
are divided by `plate_px_per_crop_px`, so that the same number means the same on every plate and at every crop size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin import hookimpl

if TYPE_CHECKING:
    from julnet_plugin.interfaces import MatteOperator
    from julnet_plugin.types import FloatArray

Float32 = NDArray[np.float32]

_GUIDE_EPSILON = 0.03**2  #: variance of the guide below which it counts as flat (about 8 code values)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteContext:
    """What an operator may ask about its frame beyond its own matte."""

    guide: Callable[[], FloatArray | None]  #: (h, w) luma of the picture in the crop, display values
    neighbour: Callable[[int], FloatArray | None]  #: matte entering this operator on another frame; None across cuts


@runtime_checkable
class ContextOperator(Protocol):
    """An operator that also looks at the picture or at neighbouring frames; the chain prefers this to `apply`."""

    name: str
    order: float

    def apply_in_context(
        self, matte: FloatArray, frame: int, settings: dict[str, float], context: MatteContext
    ) -> FloatArray:
        """(h, w) float32 in [0, 1] to the same."""
        ...


class Levels:
    """Expected error to matte: `low_cv` becomes 0, `high_cv` becomes 1, and a gamma in between."""

    name, order = "levels", 10.0

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """Here the incoming matte is the expected error in display values."""
        low, high = settings["low_cv"] / 255, settings["high_cv"] / 255
        scaled = np.clip((matte - low) * (1.0 / max(high - low, 1e-6)), 0, 1)
        return _float32(scaled if settings["gamma"] == 1 else scaled ** (1 / settings["gamma"]))


class Grow:
    """Grow or shrink what is marked, by an octagon of `grow_px`; fractions of a pixel blend two radii."""

    name, order = "grow", 20.0

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """Positive grows, negative shrinks."""
        radius = settings["grow_px"] / settings["plate_px_per_crop_px"]
        if abs(radius) < 1e-3:
            return matte
        return _morphed(_float32(matte), abs(radius), cv2.dilate if radius > 0 else cv2.erode)


class Refine:
    """Let the edges of the picture shape the matte, so that it hugs lips and teeth.

    Source:
        He, Sun & Tang 2013, "Guided image filtering", eqs. 5, 6, 8 (grey guide).
    """

    name, order = "refine", 25.0

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """Without a picture there is nothing to follow."""
        return matte

    def apply_in_context(
        self, matte: FloatArray, frame: int, settings: dict[str, float], context: MatteContext
    ) -> FloatArray:
        """Blend towards the guided filter of the matte by `refine`."""
        share = settings["refine"]
        guide = context.guide() if share > 0 else None
        if guide is None:
            return matte
        radius = max(settings["refine_px"] / settings["plate_px_per_crop_px"], 1.0)
        guided = guided_filter(_float32(guide), _float32(matte), round(radius), _GUIDE_EPSILON)
        return np.clip(matte + share * (guided - matte), 0, 1)


class Blur:
    """Gaussian softening."""

    name, order = "blur", 30.0

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """`blur_px` is the Gaussian's deviation."""
        deviation = settings["blur_px"] / settings["plate_px_per_crop_px"]
        if deviation < 0.1:
            return matte
        return _float32(cv2.GaussianBlur(_float32(matte), (0, 0), deviation, borderType=cv2.BORDER_REPLICATE))


class Temporal:
    """Smooth along the face over time: crop pixels are the same place of the face on every frame.

    Weights fall linearly to 0 just beyond `temporal_frames`. A cut or a frame without a face ends the window.
    """

    name, order = "temporal", 40.0

    def apply(self, matte: FloatArray, frame: int, settings: dict[str, float]) -> FloatArray:
        """Without neighbours a frame is its own average."""
        return matte

    def apply_in_context(
        self, matte: FloatArray, frame: int, settings: dict[str, float], context: MatteContext
    ) -> FloatArray:
        """Weighted mean of the frame and its neighbours on both sides."""
        radius = settings["temporal_frames"]
        total, weights = np.array(matte, np.float32), 1.0
        for direction in (-1, 1):
            for distance in range(1, int(np.ceil(radius)) + 1):
                weight = max(1 - distance / (radius + 1), 0)
                other = context.neighbour(frame + direction * distance)
                if other is None:
                    break
                cv2.scaleAdd(_float32(other), weight, total, total)
                weights += weight
        return _float32(total / np.float32(weights))


def guided_filter(guide: Float32, values: Float32, radius: int, epsilon: float) -> Float32:
    """Edge-preserving smoothing of `values` (h, w) that follows the edges of `guide` (h, w)."""
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        return cv2.blur(array, size, borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_values = mean(guide), mean(values)
    covariance = mean(guide * values) - mean_guide * mean_values
    variance = mean(guide * guide) - mean_guide * mean_guide
    slope = covariance / (variance + np.float32(epsilon))
    offset = mean_values - slope * mean_guide
    return _float32(mean(slope) * guide + mean(offset))


def builtin_operators() -> list[MatteOperator]:
    """The chain's own steps, in order."""
    return [Levels(), Grow(), Refine(), Blur(), Temporal()]


@hookimpl
def julnet_matte_operators() -> Sequence[MatteOperator]:
    """Contribute the built-in steps."""
    return builtin_operators()


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
_SQUARE = np.ones((3, 3), np.uint8)


def _morphed(matte: Float32, radius: float, step: Callable[..., Any]) -> Float32:
    """Grow or shrink by an octagon: crosses and squares alternate so that its diagonal equals its side radius.

    Any number of small steps costs less than one large kernel, and the radius may have a fraction.
    """
    whole = int(radius)
    for index in range(whole):
        matte = step(matte, _octagon_step(index))
    fraction = radius - whole
    if fraction > 1e-3:
        matte = matte + np.float32(fraction) * (step(matte, _octagon_step(whole)) - matte)
    return matte


def _octagon_step(index: int) -> NDArray[np.uint8]:
    """Squares are 41.4 % (sqrt(2) - 1) of the steps, spread evenly."""
    share = np.sqrt(2) - 1
    return _SQUARE if int((index + 1) * share + 0.5) > int(index * share + 0.5) else _CROSS


def _float32(array: NDArray[Any]) -> Float32:
    return np.asarray(array, np.float32)
