"""Things drawn over lower faces: fists and fingers, balls, boxes, sticks and sheets, of skin, colour and pictures.

Shapes are drawn twice as large and averaged down, so that their rims are as soft as a camera's.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from julnet_plugin.face.cover import LOWER_PX, SIDE

Float32 = NDArray[np.float32]
Rng = np.random.Generator

_FINE = 2  #: how much larger shapes are drawn
_SIDE = LOWER_PX * _FINE
_UNIT = _SIDE / SIDE  #: drawn pixels in a face unit
_SMALL, _LARGE = 0.22, 1.3  #: width of a thing, face units


def draw_thing(face: Float32, other: Float32, piece: Float32, rng: Rng) -> tuple[Float32, Float32]:
    """Lay one thing over a lower face.

    Shape:
        face, other, piece: see `cutout`.
        returns: the face with the thing, (48, 48, 3), and what share of each pixel it covers, (48, 48).
    """
    thing = cutout(face, other, piece, rng)
    mask = thing[..., 3]
    if rng.random() < 0.5:
        face = shaded(face, mask, rng)
    made = face * (1 - mask[..., None]) + thing[..., :3] * mask[..., None]
    return np.asarray(made, np.float32), mask


def cutout(face: Float32, other: Float32, piece: Float32, rng: Rng) -> Float32:
    """One thing: (48, 48, 4), its colours and its opacity in [0, 1].

    Shape:
        face: (48, 48, 3) in [0, 1], the lower face that it will lie over.
        other: (48, 48, 3) the lower face of somebody else, for skin.
        piece: (48, 48, 3) of any picture.
    """
    shape, inside = _SHAPES[rng.choice(len(_SHAPES), p=_ODDS)](rng)
    mask, shading = _averaged(shape), _averaged(inside)
    look = _look(face, other, piece, rng)
    if rng.random() < 0.7:
        look = look * (1 + shading[..., None] * rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:
        mask, look = _moved(mask, look, rng)
    if rng.random() < 0.5:
        mask = _blurred(mask, rng.uniform(0.3, 1.0))
    return np.concatenate([np.clip(look, 0, 1), np.clip(mask, 0, 1)[..., None]], axis=2, dtype=np.float32)


def shaded(face: Float32, mask: Float32, rng: Rng) -> Float32:
    """The face with the soft shadow of a thing of this shape, which may be out of the picture itself."""
    far = rng.uniform(-5, 5, 2)
    matrix = np.array([[1, 0, far[0]], [0, 1, far[1]]], np.float32)
    thrown = cv2.warpAffine(mask, matrix, (LOWER_PX, LOWER_PX), borderMode=cv2.BORDER_REPLICATE)
    return (
        face * (1 - rng.uniform(0.1, 0.55) * _blurred(np.asarray(thrown, np.float32), rng.uniform(1.5, 5)))[..., None]
    )


def any_shape(rng: Rng) -> Float32:
    """The mask of some thing, (48, 48)."""
    return _averaged(_SHAPES[rng.choice(len(_SHAPES), p=_ODDS)](rng)[0])


def _canvas() -> Float32:
    return np.zeros((_SIDE, _SIDE), np.float32)


def _place(rng: Rng) -> NDArray[np.float64]:
    """Where a thing lies, in drawn pixels: most often near the mouth."""
    centre = np.array([_SIDE / 2, _SIDE * 0.5])
    spread = _SIDE * (0.16 if rng.random() < 0.6 else 0.38)
    return np.asarray(centre + spread * rng.standard_normal(2))


def _width(rng: Rng) -> float:
    """Of a thing, in drawn pixels."""
    return float(_UNIT * np.exp(rng.uniform(np.log(_SMALL), np.log(_LARGE))))


def _rounded(canvas: Float32, shading: Float32, ends: NDArray[np.float64], thick: float, rng: Rng) -> None:
    """A finger: a thick line with round ends, lit along one side."""
    (x0, y0), (x1, y1) = ends
    cv2.line(canvas, (int(x0), int(y0)), (int(x1), int(y1)), (1.0,), max(int(thick), 1), cv2.LINE_AA)
    along = np.array([x1 - x0, y1 - y0]) / max(np.hypot(x1 - x0, y1 - y0), 1e-6)
    across = np.array([-along[1], along[0]]) * thick
    lit = rng.uniform(0.1, 0.3)
    for side, value in ((0.42, -1.0), (-0.42, -0.6), (-lit, 0.5)):
        a, b = np.array([x0, y0]) + side * across, np.array([x1, y1]) + side * across
        width = max(int(thick * 0.18), 1)
        cv2.line(shading, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), (value,), width, cv2.LINE_AA)


def _hand(rng: Rng) -> tuple[Float32, Float32]:
    """A palm or a fist and one to four fingers beside each other, from any side."""
    mask, shading = _canvas(), _canvas()
    place, width, turn = _place(rng), _width(rng), rng.uniform(0, 2 * np.pi)
    fingers = int(rng.integers(1, 5))
    thick = width / max(fingers, 2) * rng.uniform(0.8, 1.1)
    forward = np.array([np.cos(turn), np.sin(turn)])
    side = np.array([-forward[1], forward[0]])
    palm = place - forward * width * rng.uniform(0.3, 0.9)
    if rng.random() < 0.8:
        axes = (max(int(width * rng.uniform(0.45, 0.65)), 1), max(int(width * rng.uniform(0.4, 0.6)), 1))
        cv2.ellipse(mask, (int(palm[0]), int(palm[1])), axes, np.degrees(turn), 0, 360, (1.0,), -1, cv2.LINE_AA)
        wrist = palm - forward * 2 * _SIDE
        thick_arm = max(int(width * rng.uniform(0.6, 0.9)), 1)
        cv2.line(
            mask, tuple(palm.astype(int).tolist()), tuple(wrist.astype(int).tolist()), (1.0,), thick_arm, cv2.LINE_AA
        )
    fan = rng.uniform(0, 0.25)
    for k in range(fingers):
        offset = k - (fingers - 1) / 2
        start = palm + side * offset * thick * rng.uniform(0.9, 1.05)
        reach = forward + side * offset * fan
        end = start + reach * width * rng.uniform(0.6, 1.7)
        _rounded(mask, shading, np.stack([start, end]), thick, rng)
    return mask, _blurred(shading, rng.uniform(1.0, 3.0))


def _fist(rng: Rng) -> tuple[Float32, Float32]:
    """A closed hand: a rounded block with the furrows of its fingers."""
    mask, shading = _canvas(), _canvas()
    (x, y), width, turn = _place(rng), _width(rng), rng.uniform(-90, 90)
    height = width * rng.uniform(0.6, 1.0)
    corners = np.asarray(cv2.boxPoints(((float(x), float(y)), (width * 0.7, height * 0.7), turn)), np.float32)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], (1.0,), cv2.LINE_AA)
    cv2.polylines(mask, [np.round(corners).astype(np.int32)], True, (1.0,), max(int(width * 0.3), 1), cv2.LINE_AA)
    for share in (-0.25, 0.0, 0.25):
        a = corners[0] + (corners[3] - corners[0]) * (0.5 + share * 1.3)
        b = corners[1] + (corners[2] - corners[1]) * (0.5 + share * 1.3)
        bent = (a + b) / 2 + rng.normal(0, width * 0.04, 2)
        line = np.round(np.stack([a, bent, b])).astype(np.int32)
        cv2.polylines(shading, [line], False, (-1.0,), max(int(width * rng.uniform(0.03, 0.08)), 1), cv2.LINE_AA)
    light = cv2.warpAffine(mask, np.array([[1, 0, width * 0.12], [0, 1, width * 0.12]]), (_SIDE, _SIDE))
    return mask, np.asarray(_blurred(shading, 2.0) + 0.5 * (_blurred(np.asarray(light), width * 0.1) - 0.7), np.float32)


def _ball(rng: Rng) -> tuple[Float32, Float32]:
    """Round things, lit from one side."""
    mask = _canvas()
    (x, y), width = _place(rng), _width(rng)
    axes = (max(int(width / 2), 1), max(int(width / 2 * rng.uniform(0.6, 1.4)), 1))
    cv2.ellipse(mask, (int(x), int(y)), axes, rng.uniform(0, 180), 0, 360, (1.0,), -1, cv2.LINE_AA)
    return mask, _lit(rng)


def _box(rng: Rng) -> tuple[Float32, Float32]:
    mask = _canvas()
    (x, y), width = _place(rng), _width(rng)
    size = (width, width * rng.uniform(0.5, 2.2))
    corners = np.asarray(cv2.boxPoints(((float(x), float(y)), size, rng.uniform(0, 180))), np.float32)
    corners += rng.normal(0, 0.06 * width, corners.shape)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], (1.0,), cv2.LINE_AA)
    return mask, _lit(rng)


def _stick(rng: Rng) -> tuple[Float32, Float32]:
    """Something long that comes in from outside, perhaps thicker at its end."""
    mask, shading = _canvas(), _canvas()
    place, turn = _place(rng), rng.uniform(0, 2 * np.pi)
    thick = _UNIT * rng.uniform(0.08, 0.35)
    end = place + 2 * _SIDE * np.array([np.cos(turn), np.sin(turn)])
    _rounded(mask, shading, np.stack([place, end]), thick, rng)
    return mask, _blurred(shading, 1.5)


def _sheet(rng: Rng) -> tuple[Float32, Float32]:
    """One side of the picture is covered by something larger than the face."""
    turn = rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:_SIDE, :_SIDE] - _SIDE / 2
    far = columns * np.cos(turn) + rows * np.sin(turn) - rng.uniform(-0.2, 0.45) * _SIDE
    bent = far + rng.uniform(-0.1, 0.1) * _SIDE * np.sin((rows - columns) / _SIDE * rng.uniform(1, 8))
    return np.asarray(np.clip(bent + 0.5, 0, 1), np.float32), _lit(rng)


_SHAPES: tuple[Callable[[Rng], tuple[Float32, Float32]], ...] = (_hand, _fist, _ball, _box, _stick, _sheet)
_ODDS = (0.34, 0.22, 0.12, 0.14, 0.1, 0.08)


def _lit(rng: Rng) -> Float32:
    """Light that falls off over the picture."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    return np.asarray(rng.uniform(0, 1.5) * (columns * np.cos(turn) + rows * np.sin(turn)), np.float32)


def _look(face: Float32, other: Float32, piece: Float32, rng: Rng) -> Float32:
    """What the thing is filled with: (48, 48, 3)."""
    kind = rng.random()
    if kind < 0.55:
        skin = _cheek(face if rng.random() < 0.45 else other, rng)
        own = face[8:40, 8:40].reshape(-1, 3)
        if rng.random() < 0.7:  # of the face's own tint
            skin = skin - skin.mean(axis=(0, 1)) + np.median(own, axis=0)
        skin = skin * np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.04, 3))
        return np.asarray(skin + _grain(rng), np.float32)
    if kind < 0.75:
        colour = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 1)) + rng.normal(0, 0.03, 3)
        return np.asarray(np.broadcast_to(colour, face.shape) + _grain(rng), np.float32)
    return np.asarray(piece * np.exp(rng.normal(0, 0.15)), np.float32)


def _cheek(face: Float32, rng: Rng) -> Float32:
    """A piece of cheek or chin, enlarged: (48, 48, 3)."""
    side = int(rng.integers(6, 14))
    top, left = ((int(rng.integers(2, 22)), int(rng.integers(4, 14 - side // 2))), (38, 17))[rng.random() < 0.15]
    part = face[top : top + side, left : left + side]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return np.asarray(cv2.resize(part, (LOWER_PX, LOWER_PX), interpolation=cv2.INTER_LINEAR), np.float32)


def _grain(rng: Rng) -> Float32:
    """Unevenness, coarse and fine: (48, 48, 3)."""
    coarse = rng.standard_normal((int(rng.integers(2, 9)),) * 2 + (1,)).astype(np.float32)
    coarse = np.asarray(cv2.resize(coarse, (LOWER_PX, LOWER_PX), interpolation=cv2.INTER_CUBIC), np.float32)[..., None]
    fine = rng.standard_normal((LOWER_PX, LOWER_PX, 1)).astype(np.float32)
    return np.asarray(rng.uniform(0, 0.06) * coarse + rng.uniform(0, 0.03) * fine, np.float32)


def _moved(mask: Float32, look: Float32, rng: Rng) -> tuple[Float32, Float32]:
    """Blurred along a straight way, as by its motion."""
    length, turn = rng.uniform(2, 8), rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    ahead = np.array([np.cos(turn), np.sin(turn)]) * length / 2
    (x0, y0), (x1, y1) = np.round(4 - ahead).astype(int), np.round(4 + ahead).astype(int)
    cv2.line(kernel, (int(x0), int(y0)), (int(x1), int(y1)), (1.0,), 1, cv2.LINE_AA)
    kernel /= kernel.sum()
    blurred = (cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_REPLICATE) for x in (mask, look.astype(np.float32)))
    return np.asarray(next(blurred), np.float32), np.asarray(next(blurred), np.float32)


def _blurred(picture: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(float(sigma), 0.1)), np.float32)


def _averaged(picture: Float32) -> Float32:
    return np.asarray(cv2.resize(picture, (LOWER_PX, LOWER_PX), interpolation=cv2.INTER_AREA), np.float32)
