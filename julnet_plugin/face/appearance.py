"""What a face looks like in one picture, in a few numbers: enough to know it again and to choose it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.cover import covered
from julnet_plugin.face.cutout import VIEW_PX, cut, square_of
from julnet_plugin.face.lips import LIPS

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]

LOOK_PX = 12  #: side of the thumbnail of a face
_INNER = slice(48, 168)  #: rows and columns of the cut that are face and not hair or background
_UPPER = slice(1, 7), slice(2, 10)  #: forehead to nose: what speech does not change
_MOUTH = (*LIPS, 152, 176, 400)  #: lips and chin


@dataclass(frozen=True, slots=True)
class Appearance:
    """One face in one picture.

    Shape:
        look: (12, 12, 3) uint8 RGB, the face upright, forehead to chin.
    """

    look: Picture
    sharpness: float  #: detail over contrast; comparable between pictures of one track only
    inside: float  #: share of lips and chin that lie inside the picture
    covered: float  #: share of the mouth that something seems to lie over


def appearance(picture: Picture, landmarks: Float32, view: Picture | None = None) -> Appearance:
    """Measure one face.

    Shape:
        picture: (H, W, 3) display-referred RGB.
        landmarks: (478, 3).
        view: the face cut out already (`Sighting.view`), to save the time.
    """
    face = view if view is not None else cut(picture, square_of(landmarks), VIEW_PX)[0]
    look = cv2.resize(face, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA)
    hidden = covered(picture, landmarks)
    return Appearance(np.asarray(look, np.uint8), _sharpness(face), _inside(picture, landmarks), hidden)


def likeness(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """How alike two looks are, -1 to 1, whatever the exposure; the mouth does not count.

    Measured on 46 clips: the same face three frames later 0.99 (1 in 200 below 0.89), seconds later 0.99 (1 in 20 below
    0.72), two people 0.62 (1 in 20 above 0.84).
    """
    u, v = (_centred(np.asarray(look, np.float32)[_UPPER]) for look in (a, b))
    return float((u * v).sum() / np.sqrt((np.square(u).sum() + 1) * (np.square(v).sum() + 1)))


def _centred(values: Float32) -> Float32:
    return np.asarray(values - values.mean(), np.float32)


def _sharpness(face: Picture) -> float:
    grey = cv2.cvtColor(face[_INNER, _INNER], cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(grey, cv2.CV_32F)
    return float(np.std(detail) / (np.std(grey) + 3.0))


def _inside(picture: Picture, landmarks: Float32) -> float:
    x, y = landmarks[_MOUTH, 0], landmarks[_MOUTH, 1]
    height, width = picture.shape[:2]
    return float(np.mean((x > -0.5) & (y > -0.5) & (x < width - 0.5) & (y < height - 0.5)))
