"""What the lips do, from landmarks: gap, width, rounding and shape, all independent of the head's turn and distance.

Lengths are 3-D and divided by the distance of the outer eye corners, so that neither a turned nor a distant head looks
like a closing mouth.

Shape:
    Every function takes landmarks (T, 478, 3) in plate pixels and answers once per frame; a frame without a face gives
    whatever its filler gives, so mask by `found`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import fit_poses

Landmarks = NDArray[np.floating[Any]]
Float32 = NDArray[np.float32]

#: outer contour: from the corner on the picture's left along the lower lip to the right, back along the upper
OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
#: inner contour, same order
INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
LIPS = OUTER + INNER

EYE_CORNERS = (33, 263)  #: outer corners; their distance is the face unit
_GAP_UPPER, _GAP_LOWER = (82, 13, 312), (87, 14, 317)  #: middle third of the inner lips, above and below
_CORNERS = (61, 291)
_INNER_CORNERS = (78, 308)


def interocular_px(landmarks: Landmarks) -> Float32:
    """Distance of the outer eye corners in plate pixels: (T,)."""
    return _distance(landmarks, EYE_CORNERS[0], EYE_CORNERS[1])


def lip_aperture(landmarks: Landmarks) -> Float32:
    """Gap between the inner lips at the middle of the mouth, in face units: (T,). About 0 closed, 0.3 wide open."""
    gaps = [_distance(landmarks, up, low) for up, low in zip(_GAP_UPPER, _GAP_LOWER, strict=True)]
    return np.asarray(np.mean(gaps, axis=0) / _unit(landmarks), np.float32)


def lip_width(landmarks: Landmarks) -> Float32:
    """Distance of the mouth's corners, in face units: (T,). Small for "oo", large for "ee" and for a smile."""
    return np.asarray(_distance(landmarks, *_CORNERS) / _unit(landmarks), np.float32)


def lip_rounding(landmarks: Landmarks) -> Float32:
    """Height of the lip opening over its width: (T,). Near 0 for a slit, towards 1 for "oh"."""
    width = np.maximum(_distance(landmarks, *_INNER_CORNERS), 1e-6)
    return np.asarray(lip_aperture(landmarks) * _unit(landmarks) / width, np.float32)


def lip_shape(landmarks: Landmarks) -> Float32:
    """The 40 points of both contours seen from the front, in face units around the face's origin: (T, 40, 2)."""
    return fit_poses(landmarks).to_face(np.asarray(landmarks)[:, LIPS])[..., :2]


def _unit(landmarks: Landmarks) -> Float32:
    return np.maximum(interocular_px(landmarks), 1e-6)


def _distance(landmarks: Landmarks, a: int, b: int) -> Float32:
    difference = np.asarray(landmarks[:, a] - landmarks[:, b], np.float32)
    return np.asarray(np.linalg.norm(difference, axis=-1), np.float32)
