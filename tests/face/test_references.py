from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import InputError, SettingsError
from julnet_plugin.face.lips import lip_aperture
from julnet_plugin.face.references import (
    around,
    choose_references,
    group_poses,
    parse_references,
    pick_references,
)
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


def test_references_of_a_pose_show_it_where_the_shot_does(talk: FaceTrack) -> None:
    turned = choose_references(talk, 5, pose=np.array([0.9, 0.0]))
    assert min(turned) >= 50 + 80
    assert np.ptp(gaps(talk, turned)) > 0.05


def swing(*stretches: tuple[int, float]) -> NDArray[np.float64]:
    """Yaw and pitch of a head that keeps a yaw for so many frames, then the next."""
    yaw = np.concatenate([np.full(count, value) for count, value in stretches])
    return np.stack([yaw, np.zeros(len(yaw))], axis=1)


def test_a_head_that_keeps_still_is_one_group() -> None:
    poses, groups = group_poses(0.03 * np.random.default_rng(0).standard_normal((200, 2)))
    assert (len(poses), set(groups)) == (1, {0})


def test_a_head_that_turns_for_a_while_gets_a_group_of_its_own_and_the_usual_pose_is_first() -> None:
    poses, groups = group_poses(swing((80, 0.0), (30, 0.5), (50, 0.0)))
    assert np.degrees(poses[:, 0]) == pytest.approx([0, np.degrees(0.5)], abs=1)
    assert np.flatnonzero(np.diff(groups)).tolist() == [79, 109]
    assert set(groups[:80]) == {0}


def test_a_glance_or_a_head_on_the_border_does_not_make_references_change() -> None:
    assert set(group_poses(swing((80, 0.0), (6, 0.5), (80, 0.0)))[1]) == {0}
    angles = swing((100, 0.0), (10, 0.15), (60, 0.3))
    angles[100:110, 0] += 0.02 * (-1.0) ** np.arange(10)  # half way, to and fro with every frame
    assert len(np.flatnonzero(np.diff(group_poses(angles)[1]))) == 1


def test_there_are_few_groups_however_a_head_moves_and_none_without_frames() -> None:
    angles = np.random.default_rng(1).uniform(-0.7, 0.7, (3000, 2))
    poses, groups = group_poses(angles)
    assert len(poses) <= 6
    assert groups.max() < len(poses)
    assert np.array_equal(groups, group_poses(angles)[1])
    assert [len(part) for part in group_poses(np.zeros((0, 2)))] == [0, 0]


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
    talk.quality["covered"][[frame - 50 for frame in bad]] = 0.2
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
