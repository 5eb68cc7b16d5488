from __future__ import annotations

import numpy as np
import pytest

from julnet_plugin.matte.chain import ArraySource, MatteChain
from julnet_plugin.matte.document import MatteDocument
from julnet_plugin.matte.follow import LandmarkFollower, moved
from julnet_plugin.matte.strokes import Shape, Stroke


def mouth():
    """Two lips of 20 points each and a chin, canonical crop pixels."""
    t = np.linspace(-1, 1, 20)
    upper = np.stack([160 + 45 * t, 240 - 12 * (1 - t**2)], -1)
    lower = np.stack([160 + 45 * t, 240 + 12 * (1 - t**2)], -1)
    chin = np.stack([160 + 60 * t, 320 + 20 * (1 - t**2)], -1)
    return np.concatenate([upper, lower, chin])


def opened(amount):
    """The lower lip and the chin go down, most in the middle."""
    points = mouth()
    drop = amount * (1 - ((points[:, 0] - 160) / 60) ** 2)
    points[20:, 1] += drop[20:]
    return points


def test_points_on_a_lip_go_with_it_and_the_other_lip_stays():
    before, after = mouth(), opened(25)
    there = moved(before, before, after)
    own = np.setdiff1d(np.arange(60), [0, 19, 20, 39])  # in the corners both lips share one place
    assert np.abs(there - after)[own].max() < 0.5
    assert np.abs(there[1:19] - before[1:19]).max() < 0.5


def test_a_shift_and_a_turn_of_all_landmarks_carry_every_point_exactly():
    c, s = np.cos(0.2), np.sin(0.2)
    turn = np.array([[c, -s], [s, c]]) * 1.1
    points = np.random.default_rng(0).uniform([80, 180], [240, 360], (50, 2))
    there = moved(points, mouth(), mouth() @ turn.T + [7, -5])
    np.testing.assert_allclose(there, points @ turn.T + [7, -5], atol=1.0)


def test_unmoved_landmarks_move_nothing():
    points = np.random.default_rng(0).uniform(0, 320, (50, 2))
    np.testing.assert_allclose(moved(points, mouth(), mouth()), points, atol=1e-9)


@pytest.mark.parametrize("target", [1, 7])
def test_frames_without_landmarks_leave_points_alone(target):
    landmarks = np.stack([mouth(), np.full((60, 2), np.nan)])
    points = np.array([[160.0, 230.0]])
    assert LandmarkFollower.over(landmarks)(points, 0, target) is points


def stroke(**more):
    line = tuple((130.0 + 6 * i, 251.0, 1.0) for i in range(11))  # on the lower lip of the closed mouth
    shapes = (Shape(frame=0, points=line),)
    return Stroke(**{"id": "s1", "kind": "add", "size_px": 8, "start": 0, "stop": 9, "shapes": shapes} | more)


def painted_row(chain, frame):
    matte = chain.matte(frame)[:, 150:170].mean(axis=1)
    return float((matte * np.arange(len(matte))).sum() / matte.sum())


class Followed(ArraySource):
    __slots__ = ()
    follow = staticmethod(LandmarkFollower.over(np.stack([opened(4 * i) for i in range(9)])))


def test_a_painted_lip_is_still_painted_when_the_mouth_has_opened():
    maps = np.zeros((9, 416, 320), np.float32)
    document = MatteDocument(strokes=(stroke(),))
    chain = MatteChain(Followed(sigmas=maps), document)
    still = MatteChain(ArraySource(sigmas=maps), document)
    assert painted_row(chain, 0) == pytest.approx(251, abs=0.6)
    assert painted_row(chain, 8) == pytest.approx(251 + 32, abs=2)
    assert painted_row(still, 8) == pytest.approx(251, abs=0.6)


def test_a_stroke_with_two_shapes_travels_on_the_moving_lip():
    """Painted on the lip on two frames: between them it is on the lip too, not on a straight way."""
    wave = LandmarkFollower.over(np.stack([opened(30 * (1 - abs(i - 4) / 4)) for i in range(9)]))

    class Waving(ArraySource):
        follow = staticmethod(wave)

    first = stroke().shapes[0]
    both = stroke(shapes=(first, Shape(frame=8, points=first.points)))
    chain = MatteChain(Waving(sigmas=np.zeros((9, 416, 320), np.float32)), MatteDocument(strokes=(both,)))
    assert painted_row(chain, 4) == pytest.approx(251 + 30, abs=2)


def test_drawing_on_another_frame_than_the_strokes_own_repaints_the_right_tiles():
    from dataclasses import replace

    maps = np.zeros((9, 416, 320), np.float32)
    chain = MatteChain(Followed(sigmas=maps), MatteDocument(strokes=(stroke(),)))
    canvas = chain.canvas(8)
    longer = replace(stroke(), shapes=(Shape(frame=0, points=(*stroke().shapes[0].points, (200.0, 245.0, 1.0))),))
    canvas.update([longer])
    fresh = chain.with_document(MatteDocument(strokes=(longer,))).matte(8)
    np.testing.assert_allclose(canvas.matte, fresh, atol=2e-6)
