"""From the plate's, the dub's and the matte's pixels to the picture on screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

GAIN = 4  #: of the difference picture: an error of 6 code values is easy to see
OVERLAY = (255, 64, 32)  #: where the matte is white: a red that no face has
WIPE_LINE = (245, 245, 245)


def wiped(left: Pixels, right: Pixels, share: float) -> Pixels:
    """One picture up to a share of the width, the other from there, and a thin line between them.

    Shape:
        left, right, return: (H, W, 3).
    """
    width = left.shape[1]
    column = min(max(round(share * width), 0), width)
    mixed = right.copy()
    mixed[:, :column] = left[:, :column]
    if 0 < column < width:
        mixed[:, column] = WIPE_LINE
    return mixed


def side_by_side(left: Pixels, right: Pixels) -> Pixels:
    """Two pictures of one size beside one another, a thin line between them.

    Shape:
        left, right: (H, W, 3).
        return: (H, 2 W + 2, 3).
    """
    line = np.full((left.shape[0], 2, 3), 64, np.uint8)
    return np.concatenate([left, line, right], axis=1)


def difference(first: Pixels, second: Pixels) -> Pixels:
    """How far two pictures differ, `GAIN` times enlarged; black where they are equal, bit for bit.

    Shape:
        first, second, return: (H, W, 3).
    """
    import cv2

    return np.asarray(cv2.convertScaleAbs(cv2.absdiff(first, second), alpha=GAIN), np.uint8)


def tinted(picture: Pixels, matte: Pixels, opacity: float) -> Pixels:
    """The picture with the matte laid over it in colour; where the matte is black it is the picture, bit for bit.

    Shape:
        picture, return: (H, W, 3).
        matte: (H, W); 255 = look here.
    """
    rows, columns = np.flatnonzero(matte.any(axis=1)), np.flatnonzero(matte.any(axis=0))
    if rows.size == 0 or opacity <= 0:
        return picture
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # a mouth is a small part of the plate
    weight = (matte[box].astype(np.uint32) * round(256 * min(opacity, 1.0)) // 255)[..., None]
    under = picture[box].astype(np.uint32)
    over = np.array(OVERLAY, np.uint32)
    result = picture.copy()
    result[box] = ((under * (256 - weight) + over * weight + 128) >> 8).astype(np.uint8)
    return result
