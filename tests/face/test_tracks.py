from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from julnet_plugin.errors import TakeError
from julnet_plugin.face.tracks import QUALITY, FaceTrack, Rows, Tracking
from julnet_plugin.types import FrameRange


def track(index: int, shot: int, frames: range, missing: tuple[int, ...] = ()) -> FaceTrack:
    rng = np.random.default_rng(index)
    quality = np.zeros(len(frames), QUALITY)
    quality["found"] = [frame not in missing for frame in frames]
    quality["mouth_px"] = rng.uniform(50, 60, len(frames))
    quality["box"] = rng.uniform(0, 99, (len(frames), 4))
    return FaceTrack(
        index=index,
        shot=shot,
        frames=FrameRange(start=frames.start, stop=frames.stop),
        landmarks=rng.normal(size=(len(frames), 478, 3)).astype(np.float32),
        quality=quality,
        looks=rng.integers(0, 255, (len(frames), 12, 12, 3), dtype=np.uint8),
    )


@pytest.fixture
def tracking() -> Tracking:
    return Tracking(
        span=FrameRange(start=10, stop=40),
        shots=(FrameRange(start=10, stop=25), FrameRange(start=25, stop=40)),
        tracks=(track(0, 0, range(10, 25), (13,)), track(1, 0, range(12, 20)), track(2, 1, range(30, 40))),
        width=320,
        height=180,
        rate=Fraction(24000, 1001),
        tracker="mediapipe",
    )


def test_a_tracking_comes_back_from_disk_as_it_was(tracking: Tracking, tmp_path: Path) -> None:
    tracking.save(tmp_path / "faces")
    again = Tracking.load(tmp_path / "faces")
    for name in ("span", "shots", "width", "height", "rate", "tracker"):
        assert getattr(again, name) == getattr(tracking, name)
    for one, two in zip(tracking.tracks, again.tracks, strict=True):
        assert (one.index, one.shot, one.frames) == (two.index, two.shot, two.frames)
        for name in ("landmarks", "quality", "looks"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
    assert isinstance(again.tracks[0].landmarks, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_saving_again_replaces_what_was_there(tracking: Tracking, tmp_path: Path) -> None:
    tracking.save(tmp_path / "faces")
    (tmp_path / "faces" / "old").write_text("old")
    tracking.save(tmp_path / "faces")
    assert not (tmp_path / "faces" / "old").exists()


def remove_manifest(folder: Path) -> None:
    (folder / "tracking.json").unlink()


def garble_manifest(folder: Path) -> None:
    (folder / "tracking.json").write_text("{")


def other_version(folder: Path) -> None:
    data = json.loads((folder / "tracking.json").read_text())
    (folder / "tracking.json").write_text(json.dumps(data | {"schema": 99}))


def truncate_array(folder: Path) -> None:
    path = folder / "face-001.landmarks.npy"
    path.write_bytes(path.read_bytes()[:-100])


def swap_arrays(folder: Path) -> None:
    (folder / "face-000.looks.npy").replace(folder / "face-001.looks.npy")


@pytest.mark.parametrize("damage", [remove_manifest, garble_manifest, other_version, truncate_array, swap_arrays])
def test_damage_is_one_sentence(tracking: Tracking, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    tracking.save(tmp_path / "faces")
    damage(tmp_path / "faces")
    with pytest.raises(TakeError, match="faces") as caught:
        Tracking.load(tmp_path / "faces")
    assert "\n" not in str(caught.value)


def test_frames_without_any_face_are_listed(tracking: Tracking) -> None:
    assert tracking.frames_without_face() == [25, 26, 27, 28, 29]  # face 1 covers 13


def test_a_track_stretches_over_its_shot(tracking: Tracking) -> None:
    face = tracking.tracks[1]
    landmarks, found = face.over(tracking.shots[0])
    assert found.tolist() == [False, False] + [True] * 8 + [False] * 5
    assert np.array_equal(landmarks[2:10], face.landmarks)
    assert not landmarks[~found].any()


def test_a_track_over_its_own_frames_is_not_copied(tracking: Tracking) -> None:
    face = tracking.tracks[0]
    assert face.over(face.frames)[0] is face.landmarks


def test_rows_and_frames_agree(tracking: Tracking) -> None:
    face = tracking.tracks[0]
    assert [face.row(frame) for frame in (9, 10, 13, 24, 25)] == [None, 0, None, 14, None]
    assert [tracking.shot_of(frame) for frame in (10, 24, 25, 39)] == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="40"):
        tracking.shot_of(40)


@pytest.mark.parametrize("count", [0, 1, 64, 1000])
def test_rows_grow_in_a_file_as_in_memory(tmp_path: Path, count: int) -> None:
    here = Rows(None, np.dtype("<f4"), (5, 2))
    there = Rows(tmp_path / "rows.npy", np.dtype("<f4"), (5, 2))
    for value in range(count):
        for rows in (here, there):
            rows.append(np.full((5, 2), value))
    expected = here.finish()
    assert expected.shape == (count, 5, 2)
    if count:
        assert np.array_equal(there.finish(), expected)
        assert np.array_equal(np.load(tmp_path / "rows.npy"), expected)


def test_a_part_of_a_tracking_counts_from_0_and_its_faces_still_know_all_of_themselves(tracking: Tracking) -> None:
    part = tracking.within(FrameRange(start=13, stop=35))
    assert (part.span, part.shots) == (
        FrameRange(start=13, stop=35),
        (FrameRange(start=13, stop=25), FrameRange(start=25, stop=35)),
    )
    assert [(t.index, t.shot, t.frames.start, t.frames.stop) for t in part.tracks] == [
        (0, 0, 14, 25),  # not seen on frame 13
        (1, 0, 13, 20),
        (2, 1, 30, 35),
    ]
    assert [t.entire.frames for t in part.tracks] == [t.frames for t in tracking.tracks]
    assert np.array_equal(part.tracks[0].landmarks, tracking.tracks[0].landmarks[4:])
    again = part.within(FrameRange(start=26, stop=35))
    assert [(t.index, t.shot, t.frames.start, t.entire.frames.start) for t in again.tracks] == [(0, 0, 30, 30)]
    assert not tracking.within(FrameRange(start=25, stop=29)).tracks
