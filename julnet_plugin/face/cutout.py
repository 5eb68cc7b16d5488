"""Squares cut out of a picture around a face: turned upright, brought to a size, without aliasing."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.crop import fit_poses

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]

VIEW_PX = 192  #: side of a cut-out face as the landmark network wants it
FACE_UNITS = 2.87  #: side of the square around a known face, in face units (outer eye corners = 1)
_FACE_CENTRE = np.array([0.0, 0.53, 0.0])  #: its centre, in face units; halfway from forehead to chin


@dataclass(frozen=True, slots=True)
class Square:
    """Turned square in plate pixels; `turn` in radians, clockwise as seen."""

    x: float
    y: float
    side: float
    turn: float

    def like(self, other: Square) -> bool:
        """Whether a face in one would look the same in the other: within 3 % of the side and 3 degrees."""
        near = np.hypot(self.x - other.x, self.y - other.y) < 0.03 * self.side
        turned = (self.turn - other.turn + np.pi) % (2 * np.pi) - np.pi
        return bool(near and abs(self.side / other.side - 1) < 0.03 and abs(turned) < 0.05)


def square_of(landmarks: Float32) -> Square:
    """The square around a face, from its landmarks (478, 3).

    From the rigid fit and not from the landmarks' own box: a square that neither a jaw nor a turning head makes pump
    gives steadier landmarks when it is looked at again.
    """
    poses = fit_poses(landmarks[None])
    centre = poses.scale[0] * (poses.rotation[0] @ _FACE_CENTRE) + poses.translation[0]
    side = FACE_UNITS * float(poses.scale[0])
    return Square(x=float(centre[0]), y=float(centre[1]), side=side, turn=float(poses.angles()[0, 2]))


def cut(picture: Picture, square: Square, size: int) -> tuple[Picture, NDArray[np.float64]]:
    """Cut a square out upright.

    Pixels outside the picture repeat its edge.

    Returns:
        The cut-out, (size, size, 3), and the affine (2, 3) from its pixels to the plate's. Convention: origin at the
        centre of the top-left pixel.
    """
    k = max(square.side, 1.0) / size
    cos, sin = k * np.cos(square.turn), k * np.sin(square.turn)
    half = (size - 1) / 2
    affine = np.array(
        [[cos, -sin, square.x - (cos - sin) * half], [sin, cos, square.y - (sin + cos) * half]], np.float64
    )
    source, source_from_cut = picture, affine
    step = int(k)
    if step > 1:
        source, source_from_cut = _averaged(picture, square, affine, step)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(source, source_from_cut, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), affine


def shrunk(picture: Picture, step: int) -> Picture:
    """A picture averaged over blocks of step x step pixels; a rest at the right and lower edge is left out."""
    rows, columns = max(picture.shape[0] // step, 1), max(picture.shape[1] // step, 1)
    whole = picture[: rows * step, : columns * step]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _averaged(
    picture: Picture, square: Square, affine: NDArray[np.float64], step: int
) -> tuple[Picture, NDArray[np.float64]]:
    """The part of the picture around the square, averaged over step x step pixels on a grid that never moves."""
    height, width = picture.shape[:2]
    reach = 0.5 * square.side * (abs(np.cos(square.turn)) + abs(np.sin(square.turn))) + 2 * step
    x0, columns = _blocks(square.x, reach, width, step)
    y0, rows = _blocks(square.y, reach, height, step)
    small = shrunk(picture[y0 : y0 + rows * step, x0 : x0 + columns * step], step)
    moved = affine / step
    moved[:, 2] = (affine[:, 2] - [x0, y0] + 0.5) / step - 0.5
    return small, moved


def _blocks(centre: float, reach: float, length: int, step: int) -> tuple[int, int]:
    """First pixel and number of the whole blocks that cover centre ± reach inside 0 … length."""
    last = max(length // step - 1, 0)
    first = int(np.clip((centre - reach) // step, 0, last))
    stop = int(np.clip(-(-(centre + reach) // step), first + 1, last + 1))
    return first * step, stop - first
