from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.lips import INNER, LIPS, OUTER, lip_aperture, lip_rounding, lip_shape, lip_width

Mesh = Callable[..., NDArray[np.float32]]


def test_the_contours_are_forty_different_points_left_to_right_and_back(make_mesh: Mesh) -> None:
    assert len(set(LIPS)) == 40
    face = make_mesh(gap=0.1)
    for contour in (OUTER, INNER):
        x, y = face[list(contour), 0], face[list(contour), 1]
        assert np.all(np.diff(x[:11]) > 0)
        assert np.all(np.diff(x[10:]) < 0)
        assert y[5] > y[15]  # the lower lip comes first


def test_the_aperture_is_the_gap_in_face_units(make_mesh: Mesh) -> None:
    gaps = np.array([0.05, 0.1, 0.2, 0.3])
    faces = np.stack([make_mesh(gap=gap) for gap in gaps])
    assert np.diff(lip_aperture(faces)) == pytest.approx(np.diff(gaps), abs=0.01)


@pytest.mark.parametrize("changed", [{"eyes_px": 111.0}, {"x": 900.0, "y": -40.0}, {"yaw": 0.7}])
def test_neither_distance_nor_place_nor_turn_changes_the_lips(make_mesh: Mesh, changed: dict[str, float]) -> None:
    usual, other = make_mesh(gap=0.12)[None], make_mesh(gap=0.12, **changed)[None]
    for measure in (lip_aperture, lip_width, lip_rounding):
        assert measure(other) == pytest.approx(measure(usual), rel=1e-3)
    assert lip_shape(other) == pytest.approx(lip_shape(usual), abs=2e-3)


def test_an_open_mouth_is_rounder_than_a_slit(make_mesh: Mesh) -> None:
    slit, open_mouth = lip_rounding(np.stack([make_mesh(gap=0.02), make_mesh(gap=0.3)]))
    assert open_mouth > 3 * slit
