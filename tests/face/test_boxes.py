from __future__ import annotations

import numpy as np
import pytest

from julnet_plugin.face.boxes import Box, box_of, overlap, tiles


def test_the_box_of_points_touches_the_outermost_ones() -> None:
    assert box_of(np.array([[3.0, 9.0, 5.0], [1.0, 4.0, -2.0], [2.0, 20.0, 0.0]])) == Box(1, 4, 3, 20)


@pytest.mark.parametrize(
    ("other", "expected"), [(Box(0, 0, 2, 2), 1.0), (Box(1, 0, 3, 2), 1 / 3), (Box(2, 0, 4, 2), 0.0)]
)
def test_overlap_is_intersection_over_union(other: Box, expected: float) -> None:
    assert overlap(Box(0, 0, 2, 2), other) == pytest.approx(expected)
    assert overlap(other, Box(0, 0, 2, 2)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("width", "height", "side"), [(1920, 1080, 1080), (1920, 1080, 540), (100, 300, 70), (5, 5, 9)]
)
def test_every_face_smaller_than_a_third_of_a_tile_is_whole_in_one(width: int, height: int, side: int) -> None:
    cover = tiles(width, height, side)
    face = min(side, width, height) // 3
    rng = np.random.default_rng(0)
    for x, y in zip(rng.integers(0, width - face, 200), rng.integers(0, height - face, 200), strict=True):
        assert any(t.x0 <= x and x + face <= t.x1 and t.y0 <= y and y + face <= t.y1 for t in cover)
    assert all(0 <= t.x0 < t.x1 <= width and 0 <= t.y0 < t.y1 <= height for t in cover)


def test_a_box_grows_on_all_sides_and_knows_what_it_holds() -> None:
    box = Box(10, 10, 20, 30)
    assert box.grown(0.5) == Box(5, 0, 25, 40)
    assert box.holds(10, 10)
    assert not box.holds(20, 10)
    assert box.distance(15, 24) == 4
