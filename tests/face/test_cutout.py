from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.cutout import Square, cut, shrunk, square_of

Picture = NDArray[np.uint8]


def gradient(height: int, width: int) -> Picture:
    """Red tells the column, green the row."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255.0 / (width - 1), y * 255.0 / (height - 1), 0 * x], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("side", [40.0, 97.3, 300.0])
@pytest.mark.parametrize("degrees", [0, 25, -90])
def test_the_affine_says_where_each_pixel_comes_from(side: float, degrees: float) -> None:
    picture = gradient(400, 500)
    square = Square(240.4, 199.7, side, math.radians(degrees))
    face, plate_from_cut = cut(picture, square, 64)
    for u, v in ((8, 8), (55, 10), (31, 40)):
        x, y = plate_from_cut @ [u, v, 1.0]
        assert face[v, u, 0] * 499 / 255 == pytest.approx(x, abs=2.5)
        assert face[v, u, 1] * 399 / 255 == pytest.approx(y, abs=2.5)


def test_the_middle_of_the_cut_out_is_the_middle_of_the_square() -> None:
    _, plate_from_cut = cut(gradient(100, 100), Square(50.0, 40.0, 30.0, 0.3), 64)
    assert plate_from_cut @ [31.5, 31.5, 1.0] == pytest.approx([50.0, 40.0])


def test_fine_texture_averages_out_and_does_not_alias() -> None:
    chequered = np.zeros((600, 600, 3), np.uint8)
    chequered[::2, ::2] = chequered[1::2, 1::2] = 200
    face, _ = cut(chequered, Square(300, 300, 560, 0.0), 64)
    assert int(face.min()) >= 98
    assert int(face.max()) <= 102


def test_a_square_that_leaves_the_picture_repeats_its_edge() -> None:
    picture = np.full((50, 60, 3), 77, np.uint8)
    face, _ = cut(picture, Square(-100.0, 400.0, 900.0, 0.5), 32)
    assert np.all(face == 77)


def test_shrinking_averages_whole_blocks() -> None:
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    small = shrunk(picture, 2)
    assert small.shape == (2, 3, 3)
    assert small[1, 2, 0] == pytest.approx(picture[2:4, 4:6, 0].mean(), abs=0.5)


def test_neither_an_open_jaw_nor_a_turned_head_makes_the_square_pump(
    make_mesh: Callable[..., NDArray[np.float32]],
) -> None:
    shut, wide, turned = (square_of(make_mesh(gap=gap, yaw=yaw)) for gap, yaw in ((0, 0), (0.4, 0), (0, 0.6)))
    assert wide == shut
    assert turned.side == pytest.approx(shut.side, rel=1e-3)
