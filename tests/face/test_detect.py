from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.face.detect import MediaPipeFaceMesh, _mirror_twins
from julnet_plugin.face.lips import interocular_px, lip_aperture

Picture = NDArray[np.uint8]
PutHead = Callable[..., Picture]


def grey(height: int, width: int) -> Picture:
    """Soft noise, so that nothing in it looks like a face and nothing is flat."""
    noise = np.random.default_rng(1).integers(80, 120, (max(height // 40, 1), max(width // 40, 1), 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_portrait_gives_one_face_in_its_place(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    (face,) = tracker.detect(portrait, 5)
    assert face.shape == (478, 3)
    assert face.dtype == np.float32
    assert face[1, :2] == pytest.approx([220, 133], abs=8)  # tip of the nose
    assert face[33, 0] < face[263, 0]
    assert face[10, 1] < face[152, 1]
    assert face[4, 2] < face[234, 2]  # the nose is nearer than the ear
    assert interocular_px(face[None])[0] == pytest.approx(60, abs=6)


def test_two_looks_at_one_picture_agree_to_the_bit_whatever_came_between(
    tracker: MediaPipeFaceMesh, portrait: Picture
) -> None:
    first = tracker.detect(portrait, 1)[0]
    tracker.detect(np.ascontiguousarray(portrait[::-1]), 1)
    tracker.follow(np.ascontiguousarray(portrait[:, ::-1]), [first])
    assert np.array_equal(tracker.detect(portrait, 1)[0], first)
    assert np.array_equal(MediaPipeFaceMesh().detect(portrait, 1)[0], first)


@pytest.mark.parametrize("degrees", [0, 30, -55])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_landmarks_move_with_the_face(
    tracker: MediaPipeFaceMesh, portrait: Picture, scale: float, degrees: float
) -> None:
    before = tracker.detect(portrait, 1)[0]
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    move = np.array([[cos, -sin, 0], [sin, cos, 0]])
    move[:, 2] = 400 - move[:, :2] @ before[1, :2]
    picture = cv2.warpAffine(portrait, move, (800, 800), flags=cv2.INTER_AREA, borderValue=(90, 90, 90))
    (after,) = tracker.detect(np.asarray(picture, np.uint8), 5)
    expected = before[:, :2] @ move[:, :2].T + move[:, 2]
    error = np.linalg.norm(after[:468, :2] - expected[:468], axis=1) / (60 * scale)
    assert float(np.median(error)) < 0.04


def test_shifts_below_a_pixel_are_seen(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    def look(dx: float) -> NDArray[np.float64]:
        move = np.array([[1, 0, dx], [0, 1, 0]])
        moved = np.asarray(cv2.warpAffine(portrait, move, (512, 512), flags=cv2.INTER_CUBIC), np.uint8)
        return tracker.detect(moved, 1)[0][:468, 0].astype(np.float64)

    assert float(np.mean(look(1.5) - look(0.0))) == pytest.approx(1.5, abs=0.25)


def test_a_mirrored_picture_gives_mirrored_landmarks(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    face = tracker.detect(portrait, 1)[0]
    mirrored = tracker.detect(np.ascontiguousarray(portrait[:, ::-1]), 1)[0][_mirror_twins()]
    assert float(np.abs(511 - mirrored[:, 0] - face[:, 0]).mean()) < 0.6
    assert float(np.abs(mirrored[:, 1] - face[:, 1]).mean()) < 0.6


def test_left_and_right_landmarks_are_paired_both_ways() -> None:
    twins = _mirror_twins()
    assert np.array_equal(twins[twins], np.arange(478))
    pairs = {33: 263, 133: 362, 61: 291, 234: 454, 78: 308, 13: 13, 152: 152, 468: 473, 469: 476, 159: 386}
    assert {a: int(twins[a]) for a in pairs} == pairs


@pytest.mark.parametrize(("width", "height", "scale"), [(1920, 1080, 0.6), (1920, 1080, 0.4), (3840, 2160, 0.6)])
def test_small_faces_in_big_plates_are_found(
    tracker: MediaPipeFaceMesh, put_head: PutHead, width: int, height: int, scale: float
) -> None:
    plate = put_head(grey(height, width), 0.8 * width, 0.3 * height, scale)
    (face,) = tracker.detect(plate, 3)
    assert face[1, :2] == pytest.approx([0.8 * width - 7 * scale, 0.3 * height + 15 * scale], abs=20 * scale)


def test_a_face_that_fills_the_picture_is_found(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    assert len(tracker.detect(np.ascontiguousarray(cv2.resize(portrait[70:165, 175:272], (480, 480))), 3)) == 1


def test_several_people_come_largest_first_and_once_each(tracker: MediaPipeFaceMesh, put_head: PutHead) -> None:
    plate = grey(720, 1280)
    for x, scale in ((200, 0.8), (640, 1.6), (1080, 1.2)):
        put_head(plate, x, 360, scale)
    faces = tracker.detect(plate, 10)
    assert [round(float(face[1, 0]), -2) for face in faces] == [600, 1100, 200]
    assert len(tracker.detect(plate, 2)) == 2


def test_a_picture_without_a_face_gives_none(tracker: MediaPipeFaceMesh) -> None:
    assert tracker.detect(grey(270, 480), 5) == []
    assert tracker.detect(np.zeros((3, 200, 3), np.uint8), 5) == []
    assert tracker.detect(np.full((1, 1, 3), 255, np.uint8), 5) == []


def test_following_finds_the_face_where_searching_finds_it(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    before = tracker.detect(portrait, 1)[0]
    moved = np.roll(portrait, (7, 12), axis=(0, 1))
    (followed,) = tracker.follow(moved, [before])
    assert followed is not None
    assert followed.presence > 0.9
    assert float(np.abs(followed.landmarks - tracker.detect(moved, 1)[0])[:, :2].mean()) < 0.5


def test_a_face_that_is_gone_is_not_followed(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    assert tracker.follow(grey(512, 512), tracker.detect(portrait, 1)) == [None]


def test_known_faces_are_not_found_again(tracker: MediaPipeFaceMesh, put_head: PutHead) -> None:
    plate = put_head(put_head(grey(400, 800), 200, 200), 600, 200)
    faces = tracker.detect(plate, 5)
    (other,) = tracker.search(plate, 5, known=faces[:1])
    assert float(np.abs(other.landmarks - faces[1]).max()) < 1e-3
    assert tracker.search(plate, 5, known=faces) == []


def test_the_aperture_of_a_smile_that_shows_teeth_is_open(tracker: MediaPipeFaceMesh, portrait: Picture) -> None:
    assert 0.05 < lip_aperture(tracker.detect(portrait, 1)[0][None])[0] < 0.25


def test_a_closed_tracker_opens_again(portrait: Picture) -> None:
    mesh = MediaPipeFaceMesh(mirror=False)
    first = mesh.detect(portrait, 1)[0]
    mesh.close()
    mesh.close()
    assert np.array_equal(mesh.detect(portrait, 1)[0], first)
    mesh.close()


def test_nothing_is_written_to_the_terminal_and_importing_loads_no_networks() -> None:
    code = (
        "import sys; from julnet_plugin.face import detect; assert 'mediapipe' not in sys.modules\n"
        "from skimage.data import astronaut\n"
        "assert len(detect.MediaPipeFaceMesh().detect(astronaut(), 1)) == 1"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout == ""


def test_the_tracker_does_not_import_what_draws_plots_and_leaves_it_to_those_who_want_it() -> None:
    programme = """
import sys
import numpy as np
from julnet_plugin.face.detect import MediaPipeFaceMesh
MediaPipeFaceMesh().detect(np.zeros((64, 64, 3), np.uint8), 1)
assert not [name for name in sys.modules if name.startswith("matplotlib")]
from mediapipe.python.solutions import drawing_utils
assert drawing_utils.plt.figure.__module__ == "matplotlib.pyplot"
import matplotlib.pyplot
assert matplotlib.pyplot.figure is drawing_utils.plt.figure
"""
    subprocess.run([sys.executable, "-c", programme], check=True, capture_output=True)
