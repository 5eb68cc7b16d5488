from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import InputError, SettingsError
from julnet_plugin.face.lips import lip_aperture
from julnet_plugin.face.references import around, choose_references, parse_references, pick_references
from julnet_plugin.face.tracks import QUALITY, FaceTrack
from julnet_plugin.types import FrameRange

Mesh = Callable[..., NDArray[np.float32]]


@pytest.fixture
def talk(make_mesh: Mesh) -> FaceTrack:
    """100 frames from plate frame 50: the mouth opens and closes, the head turns away in the last fifth."""
    rng = np.random.default_rng(0)
    count = 100
    gaps = 0.1 + 0.1 * np.sin(np.arange(count) / 3)
    yaws = np.where(np.arange(count) < 80, 0.1, 0.9) + rng.normal(0, 0.01, count)
    quality = np.zeros(count, QUALITY)
    quality["found"] = np.arange(count) != 30
    quality["presence"] = quality["sharpness"] = quality["inside"] = 1
    return FaceTrack(
        index=0,
        shot=0,
        frames=FrameRange(start=50, stop=150),
        landmarks=np.stack([make_mesh(gap=g, yaw=y) for g, y in zip(gaps, yaws, strict=True)]),
        quality=quality,
        looks=np.full((count, 12, 12, 3), 120, np.uint8),
    )


def gaps(track: FaceTrack, frames: list[int]) -> NDArray[np.float32]:
    return lip_aperture(track.landmarks[[frame - track.frames.start for frame in frames]])


def test_references_show_a_closed_and_an_open_mouth_and_what_lies_between(talk: FaceTrack) -> None:
    chosen = choose_references(talk, 5)
    here, all_gaps = gaps(talk, chosen), lip_aperture(talk.landmarks)
    assert len(set(chosen)) == 5
    assert here.min() < np.percentile(all_gaps, 10)
    assert here.max() > np.percentile(all_gaps, 90)
    assert np.diff(np.sort(here)).max() < 0.6 * np.ptp(all_gaps)


def test_references_look_the_way_the_shot_does(talk: FaceTrack) -> None:
    assert max(choose_references(talk, 5)) < 50 + 80


def test_the_same_track_gives_the_same_references_and_a_seed_others(talk: FaceTrack) -> None:
    assert choose_references(talk, 5) == choose_references(talk, 5)
    assert choose_references(talk, 5, seed=7) == choose_references(talk, 5, seed=7)
    assert len({tuple(choose_references(talk, 5, seed=seed)) for seed in range(5)}) > 1


def test_frames_without_the_face_and_excluded_frames_are_never_taken(talk: FaceTrack) -> None:
    for target in range(50, 150, 9):
        chosen = choose_references(talk, 5, exclude=around(target, 25.0))
        assert all(abs(frame - target) >= 25 for frame in chosen)
        assert 80 not in chosen


@pytest.mark.parametrize("flaw", ["sharpness", "presence", "inside"])
def test_flawed_frames_are_avoided(talk: FaceTrack, flaw: str) -> None:
    bad = set(choose_references(talk, 5))
    talk.quality[flaw][[frame - 50 for frame in bad]] = 0.2
    assert not bad & set(choose_references(talk, 5))


def test_a_covered_mouth_is_avoided(talk: FaceTrack) -> None:
    bad = set(choose_references(talk, 5))
    talk.looks[[frame - 50 for frame in bad], 7:] = (30, 200, 30)
    assert not bad & set(choose_references(talk, 5))


def test_a_short_shot_repeats_its_frames(talk: FaceTrack) -> None:
    everything_else = set(range(50, 150)) - {60, 61}
    assert sorted(choose_references(talk, 5, exclude=everything_else)) in (
        [60, 60, 60, 61, 61],
        [60, 60, 61, 61, 61],
    )


def test_no_frame_left_is_one_sentence(talk: FaceTrack) -> None:
    with pytest.raises(InputError, match="no frame is left"):
        choose_references(talk, 5, exclude=range(50, 150))


def test_a_long_track_is_thinned_out_and_not_slow(talk: FaceTrack) -> None:
    landmarks = np.tile(talk.landmarks, (100, 1, 1))
    chosen = pick_references(landmarks, np.ones(len(landmarks), bool), 5)
    assert len(set(chosen)) == 5
    assert chosen == sorted(chosen)


def test_the_user_may_name_the_frames(talk: FaceTrack) -> None:
    assert parse_references(" 60, 75,149", talk) == [60, 75, 149]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("12,x", "list of reference frames"),
        ("", "list of reference frames"),
        ("60,80", "frame 80"),
        ("49", "50 to 149"),
        ("-60", "list"),
    ],
)
def test_a_wrong_list_of_frames_is_one_sentence(talk: FaceTrack, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        parse_references(text, talk)
    assert caught.value.key == "refs"


def test_around_keeps_a_whole_second_away() -> None:
    assert around(100, 25.0) == range(76, 125)
    assert around(3, 25.0).start == 0
    assert around(100, 24000 / 1001) == range(77, 124)
