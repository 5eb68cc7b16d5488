from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.appearance import appearance, likeness
from julnet_plugin.face.detect import MediaPipeFaceMesh

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def face(tracker: MediaPipeFaceMesh, portrait: Picture) -> NDArray[np.float32]:
    return tracker.detect(portrait, 1)[0]


def test_a_face_is_like_itself_in_other_light_and_with_another_mouth(
    portrait: Picture, face: NDArray[np.float32]
) -> None:
    usual = appearance(portrait, face).look
    darker = appearance((portrait * 0.5).astype(np.uint8), face).look
    talking = portrait.copy()
    cv2.ellipse(talking, (220, 163), (18, 12), 0, 0, 360, (40, 10, 10), -1)
    assert likeness(usual, darker) > 0.98
    assert likeness(usual, appearance(talking, face).look) > 0.98


def test_somebody_else_is_not_like_them(portrait: Picture, face: NDArray[np.float32]) -> None:
    other = np.ascontiguousarray(portrait[..., ::-1])
    cv2.rectangle(other, (170, 60), (280, 100), (30, 20, 20), -1)  # a fringe
    assert likeness(appearance(portrait, face).look, appearance(other, face).look) < 0.7


def test_blur_lowers_the_sharpness(portrait: Picture, face: NDArray[np.float32]) -> None:
    levels = [
        appearance(np.asarray(cv2.GaussianBlur(portrait, (0, 0), sigma), np.uint8), face).sharpness
        for sigma in (0.3, 1.0, 2.0, 4.0)
    ]
    assert levels == sorted(levels, reverse=True)
    assert levels[2] < 0.5 * levels[0]


def test_the_share_of_the_mouth_inside_the_picture_is_counted(portrait: Picture, face: NDArray[np.float32]) -> None:
    lips = int(face[[13, 14], 1].mean())
    assert appearance(portrait, face).inside == 1.0
    assert 0.2 < appearance(np.ascontiguousarray(portrait[:lips]), face).inside < 0.8
    assert appearance(np.ascontiguousarray(portrait[: lips - 40]), face).inside == 0.0
