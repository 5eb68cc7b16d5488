"""What the matte drives, in crop space: only flag, hold the plate, or hold a clean reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.matte.settings import DriveState

if TYPE_CHECKING:
    from julnet_plugin.types import FloatArray

Float32 = NDArray[np.float32]


def driven_coverage(state: DriveState, coverage: FloatArray, matte: FloatArray) -> Float32:
    """Coverage (h, w) after the drive: "hold_plate" takes generated pixels back where the matte is white.

    The result is exactly 0, and the plate's pixels therefore exact, where matte times amount is 1.
    """
    if state.mode != "hold_plate":
        return np.asarray(coverage, np.float32)
    return np.asarray(coverage * (1 - state.amount * matte), np.float32)


def driven_image(state: DriveState, image: FloatArray, matte: FloatArray, reference: FloatArray | None) -> Float32:
    """Picture (h, w, 3) after the drive: "hold_reference" blends to the clean reference where the matte is white.

    Args:
        state: what is driven on this frame.
        image: generated crop, display RGB.
        matte: (h, w).
        reference: the reference frame's own crop; None (it has no face) leaves the picture alone.
    """
    if state.mode != "hold_reference" or reference is None:
        return np.asarray(image, np.float32)
    share = (state.amount * matte)[..., None]
    return np.asarray(image + (reference - image) * share, np.float32)
