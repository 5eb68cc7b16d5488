"""Faces to test on: a photograph that an installed package carries, and meshes made from the mean face."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from julnet_plugin.face.crop import mean_face
from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.types import MediaInfo

Picture = NDArray[np.uint8]


@pytest.fixture(scope="session")
def portrait() -> Picture:
    """The astronaut: 512 x 512, her eyes about 60 px apart around (225, 108)."""
    return np.asarray(astronaut(), np.uint8)


@pytest.fixture(scope="session")
def tracker() -> Iterator[MediaPipeFaceMesh]:
    mesh = MediaPipeFaceMesh()
    yield mesh
    mesh.close()


@pytest.fixture(scope="session")
def put_head(portrait: Picture) -> Callable[..., Picture]:
    """`put_head(canvas, x, y, scale, degrees, tint)`: paste the astronaut's head, its middle at x, y, in place."""
    head = portrait[20:215, 130:325]
    yy, xx = np.mgrid[-1:1:195j, -1:1:195j]
    oval = np.clip((1 - np.hypot(xx / 0.92, yy)) * 8, 0, 1).astype(np.float32)

    def put(
        canvas: Picture, x: float, y: float, scale: float = 1.0, degrees: float = 0.0, tint: bool = False
    ) -> Picture:
        cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
        move = np.array([[cos, -sin, x - 97 * (cos - sin)], [sin, cos, y - 97 * (sin + cos)]])
        size = canvas.shape[1], canvas.shape[0]
        source = head[:, ::-1, ::-1] if tint else head  # somebody else: mirrored, with red and blue changed round
        face = cv2.warpAffine(np.ascontiguousarray(source), move, size, flags=cv2.INTER_AREA)
        alpha = cv2.warpAffine(oval, move, size)[..., None]
        canvas[:] = (face * alpha + canvas * (1 - alpha)).round().astype(np.uint8)
        return canvas

    return put


@pytest.fixture(scope="session")
def make_mesh() -> Callable[..., NDArray[np.float32]]:
    """`make_mesh(x, y, eyes_px, gap, yaw)`: a face; `gap` opens the lips, in face units; `yaw` is in radians."""

    def make(
        x: float = 100.0, y: float = 100.0, eyes_px: float = 40.0, gap: float = 0.0, yaw: float = 0.0
    ) -> NDArray[np.float32]:
        face = mean_face().copy()
        lower = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 146, 91, 181, 84, 17, 314, 405, 321, 375, 152]
        face[lower, 1] += gap
        turn = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
        return (face @ turn.T * eyes_px + [x, y, 0]).astype(np.float32)

    return make


@pytest.fixture
def make_info() -> Callable[..., MediaInfo]:
    def make(width: int, height: int, frame_count: int, rate: int = 25) -> MediaInfo:
        return MediaInfo(
            path=Path("plate.mov"),
            kind="movie",
            width=width,
            height=height,
            rate=Fraction(rate),
            frame_count=frame_count,
        )

    return make
