"""Something in front of the mouth is seen, and talking is not taken for it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import chelsea

from julnet_plugin.face.cover import LOWER_PX, above_usual, hidden, lower_face
from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.face.references import choose_references
from julnet_plugin.face.track import track_plate
from julnet_plugin.face.tracks import FaceTrack
from julnet_plugin.types import MediaInfo

Picture = NDArray[np.uint8]
MOUTH = (222, 148)  #: in the portrait


def with_thing(picture: Picture, x: float, y: float) -> Picture:
    """A round photograph of fur, 72 px wide."""
    fur = np.asarray(cv2.resize(chelsea(), (73, 73), interpolation=cv2.INTER_AREA), np.uint8)
    made, mask = picture.copy(), np.zeros((73, 73), np.uint8)
    cv2.circle(mask, (36, 36), 36, 1, -1)
    top, left = round(y) - 36, round(x) - 36
    made[top : top + 73, left : left + 73][mask > 0] = fur[mask > 0]
    return made


def talking(picture: Picture, open_px: float) -> Picture:
    made = picture.copy()
    cv2.ellipse(made, MOUTH, (13, max(int(open_px), 1)), 0, 0, 360, (50, 15, 15), -1, cv2.LINE_AA)
    return made


@pytest.fixture(scope="module")
def face(tracker: MediaPipeFaceMesh, portrait: Picture) -> NDArray[np.float32]:
    return tracker.detect(portrait, 1)[0]


@pytest.fixture(scope="module")
def visited(tracker: MediaPipeFaceMesh, portrait: Picture) -> FaceTrack:
    """40 frames of talking; on frames 20 to 25 a thing is before the mouth, before and after it comes and goes."""
    pictures = []
    for number in range(40):
        picture = talking(portrait, 4 + 4 * np.sin(number))
        away = max(20 - number, number - 25, 0)
        pictures.append(with_thing(picture, MOUTH[0], MOUTH[1] + 40 * away) if away < 5 else picture)
    info = MediaInfo(path=__file__, kind="movie", width=512, height=512, rate=25, frame_count=40)  # type: ignore[arg-type]
    (track,) = track_plate(enumerate(pictures), info, tracker).tracks
    return track


def test_the_lower_face_is_cut_by_the_head_and_is_the_same_at_every_size(
    tracker: MediaPipeFaceMesh, portrait: Picture, face: NDArray[np.float32]
) -> None:
    here = lower_face(portrait, face)
    assert here.shape == (LOWER_PX, LOWER_PX, 3)
    twice = np.asarray(cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)
    larger = face * 3
    larger[:, :2] += 1  # centres of pixels
    assert np.abs(lower_face(twice, larger).astype(int) - here).mean() < 3
    outside = face - [400, 0, 0]
    assert lower_face(portrait, outside.astype(np.float32)).shape == (LOWER_PX, LOWER_PX, 3)


def test_a_thing_before_the_mouth_is_seen_and_talking_is_not(visited: FaceTrack) -> None:
    share = visited.quality["covered"]
    assert visited.found.all()
    assert share[20:26].min() > 0.4
    assert share[:15].max() < 0.25
    assert share[31:].max() < 0.25


def test_references_are_never_taken_from_covered_frames(visited: FaceTrack) -> None:
    chosen = choose_references(visited, 20)
    assert len(set(chosen)) == 20
    assert not {20, 21, 22, 23, 24, 25} & set(chosen)


def test_what_comes_and_goes_in_a_frame_is_chance_and_neighbours_of_a_hand_are_kept_away_from() -> None:
    found = np.ones(60, bool)
    found[40] = False
    share = np.zeros(60, np.float32)
    share[5] = 0.9
    share[20:24] = share[26:30] = 0.8
    share[38:42] = 0.9
    behind = hidden(share, found, 0.3, 25)
    assert np.flatnonzero(behind).tolist() == [*range(18, 32), 36, 37, 38, 39, 41, 42, 43]
    assert not hidden(share, found, 1.0, 25).any()
    assert np.flatnonzero(hidden(share[20:22], found[:2], 0.3, 25)).tolist() == [0, 1], "a shot of two frames"


def test_what_a_face_always_shows_is_no_hand() -> None:
    found = np.array([True] * 8 + [False, True, True])
    share = np.array([0.3] * 8 + [0.7, 0.65, 0.2], np.float32)
    assert above_usual(share, found) == pytest.approx([0] * 9 + [0.5, 0], abs=1e-6)
    assert above_usual(np.full(11, 0.9, np.float32), found)[0] > 0.8, "covered from the first frame to the last"
    assert above_usual(share, np.zeros(11, bool)).tolist() == [0] * 11
