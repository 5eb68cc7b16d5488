from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.errors import JulnetError, PluginError
from julnet_plugin.face.boxes import box_of
from julnet_plugin.face.detect import MediaPipeFaceMesh
from julnet_plugin.face.track import TrackSettings, julnet_face_trackers, track_plate
from julnet_plugin.face.tracks import FaceTrack, Tracking
from julnet_plugin.types import FrameRange, MediaInfo

Picture = NDArray[np.uint8]
Float32 = NDArray[np.float32]
PutHead = Callable[..., Picture]
MakeInfo = Callable[..., MediaInfo]
Mesh = Callable[..., Float32]

W, H = 480, 270


def grey(level: int = 100) -> Picture:
    noise = np.random.default_rng(1).integers(level - 20, level + 20, (6, 10, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (W, H), interpolation=cv2.INTER_CUBIC), np.uint8)


def middle(track: FaceTrack, frame: int) -> tuple[float, float]:
    row = track.row(frame)
    assert row is not None
    return track.box(row).centre


class Script:
    """A tracker that finds faces where a script says, frame by frame; it cannot follow."""

    name = "script"

    def __init__(self, faces: Sequence[Sequence[Float32]]) -> None:
        self._faces = iter(faces)

    def detect(self, picture: Picture, max_faces: int) -> list[Float32]:
        return list(next(self._faces))[:max_faces]

    def close(self) -> None: ...


#: colours of forehead, eyes and cheeks of two people
ANNA = ((200, 160, 140), (60, 40, 30), (210, 150, 130))
BERT = ((90, 60, 40), (140, 110, 90), (80, 50, 120))


def painted(people: Sequence[tuple[float, tuple[tuple[int, int, int], ...]]]) -> Picture:
    """A picture with a striped face for each (x, colours), the last one in front."""
    picture = grey()
    for x, colours in people:
        for k, colour in enumerate(colours):
            cv2.rectangle(picture, (round(x) - 40, 92 + 22 * k), (round(x) + 40, 92 + 22 * (k + 1)), colour, -1)
    return picture


def run(
    pictures: Sequence[Picture], faces: Sequence[Sequence[Float32]], info: MediaInfo, max_faces: int = 8
) -> Tracking:
    return track_plate(enumerate(pictures), info, Script(faces), TrackSettings(max_faces=max_faces))


def test_crossing_people_keep_their_tracks(make_mesh: Mesh, make_info: MakeInfo) -> None:
    pictures, faces = [], []
    for i in range(60):
        anna, bert = 80 + 5.0 * i, 380 - 5.0 * i  # they meet at frame 30; Anna passes in front
        pictures.append(painted([(bert, BERT), (anna, ANNA)]))
        both = [make_mesh(anna, 120), make_mesh(bert, 120)]
        faces.append(both[:1] if abs(anna - bert) < 60 else both[:: 1 if i % 2 else -1])
    tracking = run(pictures, faces, make_info(W, H, 60))
    anna_track, bert_track = sorted(tracking.tracks, key=lambda t: middle(t, 0)[0])
    assert middle(anna_track, 59)[0] == pytest.approx(375, abs=3)
    assert middle(bert_track, 59)[0] == pytest.approx(85, abs=3)
    assert anna_track.found.all()
    assert not bert_track.found[30]


@pytest.mark.parametrize("gap", [8, 40])
def test_a_face_that_comes_back_is_the_same_track(make_mesh: Mesh, make_info: MakeInfo, gap: int) -> None:
    pictures = [painted([(150, ANNA)])] * (30 + gap)
    faces = [[] if 15 <= i < 15 + gap else [make_mesh(150, 120)] for i in range(30 + gap)]
    tracking = run(pictures, faces, make_info(W, H, len(pictures)))
    assert len(tracking.tracks) == 1
    assert tracking.tracks[0].found.sum() == 30
    assert tracking.frames_without_face() == list(range(15, 15 + gap))


def test_somebody_else_in_the_same_place_is_another_track(make_mesh: Mesh, make_info: MakeInfo) -> None:
    pictures = [painted([(150, ANNA if i < 15 else BERT)]) for i in range(60)]
    faces = [[] if 15 <= i < 40 else [make_mesh(150, 120)] for i in range(60)]
    assert [t.frames.start for t in run(pictures, faces, make_info(W, H, 60)).tracks] == [0, 40]


def test_chance_faces_of_few_frames_are_dropped(make_mesh: Mesh, make_info: MakeInfo) -> None:
    faces = [[make_mesh(150, 120)] + ([make_mesh(350, 120)] if i in (7, 8) else []) for i in range(30)]
    tracking = run([painted([(150, ANNA), (350, BERT)])] * 30, faces, make_info(W, H, 30))
    assert [middle(t, 0)[0] for t in tracking.tracks] == [pytest.approx(150, abs=3)]


def test_faces_too_small_or_too_many_are_not_followed(make_mesh: Mesh, make_info: MakeInfo) -> None:
    faces = [[make_mesh(100, 120), make_mesh(250, 120, 30), make_mesh(400, 120, 4)]] * 10
    pictures = [painted([(100, ANNA), (250, BERT)])] * 10
    assert len(run(pictures, faces, make_info(W, H, 10)).tracks) == 2
    assert len(run(pictures, faces, make_info(W, H, 10), max_faces=1).tracks) == 1


def test_every_shot_has_its_own_tracks(make_mesh: Mesh, make_info: MakeInfo) -> None:
    other = np.ascontiguousarray(255 - painted([(150, ANNA)]))
    pictures = [painted([(150, ANNA)]) if i < 12 else other for i in range(30)]
    tracking = run(pictures, [[make_mesh(150, 120)]] * 30, make_info(W, H, 30))
    assert tracking.shots == (FrameRange(start=0, stop=12), FrameRange(start=12, stop=30))
    assert [(t.index, t.shot, t.frames) for t in tracking.tracks] == [
        (0, 0, FrameRange(start=0, stop=12)),
        (1, 1, FrameRange(start=12, stop=30)),
    ]


def test_quality_describes_the_face(make_mesh: Mesh, make_info: MakeInfo) -> None:
    faces = [[make_mesh(150, 120, eyes_px=40, gap=0.02 * i, yaw=0.05 * i)] for i in range(10)]
    (track,) = run([painted([(150, ANNA)])] * 10, faces, make_info(W, H, 10)).tracks
    assert track.quality["mouth_px"] == pytest.approx(40 * 256 / 200, rel=1e-3)
    assert track.quality["yaw"] == pytest.approx(0.05 * np.arange(10), abs=1e-3)
    assert np.diff(track.quality["aperture"]) == pytest.approx(0.02, abs=0.005)
    assert np.all(track.quality["inside"] == 1)
    assert track.box(3).centre == pytest.approx(box_of(faces[3][0]).centre)


def test_a_mouth_that_leaves_the_picture_is_noted(make_mesh: Mesh, make_info: MakeInfo) -> None:
    faces = [[make_mesh(150, 100 + 8 * i)] for i in range(20)]
    pictures = [np.roll(painted([(150, ANNA)]), 8 * i - 20, axis=0) for i in range(20)]
    (track,) = run(pictures, faces, make_info(W, H, 20)).tracks
    assert track.quality["inside"][0] == 1
    assert track.quality["inside"][-1] == 0


def test_progress_counts_every_picture_and_may_stop_the_job(
    make_mesh: Mesh, make_info: MakeInfo, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    calls: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        calls.append((stage, done, total))
        if done == 6:
            raise StoppedError

    pictures, script = [painted([(150, ANNA)])] * 9, Script([[make_mesh(150, 120)]] * 9)
    span = FrameRange(start=100, stop=109)
    with pytest.raises(StoppedError):
        track_plate(
            enumerate(pictures, 100), make_info(W, H, 500), script, None, progress, span=span, folder=tmp_path / "faces"
        )
    assert calls == [("track", done, 9) for done in range(1, 7)]
    assert not (tmp_path / "faces").exists()


def test_a_tracker_with_other_landmarks_is_refused_by_name(make_info: MakeInfo) -> None:
    with pytest.raises(PluginError, match=r"script gave landmarks of shape \(468, 3\)"):
        run([grey()], [[np.zeros((468, 3), np.float32)]], make_info(W, H, 1))


def test_landmarks_that_are_no_numbers_are_no_face(make_info: MakeInfo) -> None:
    assert run([grey()], [[np.full((478, 3), np.nan, np.float32)]], make_info(W, H, 1)).tracks == ()


def test_a_clip_without_a_face_is_a_tracking_without_tracks(make_info: MakeInfo, tmp_path: Path) -> None:
    tracking = track_plate(
        ((i, grey()) for i in range(6)), make_info(W, H, 6), Script([[]] * 6), folder=tmp_path / "faces"
    )
    assert tracking.tracks == ()
    assert tracking.frames_without_face() == list(range(6))
    assert Tracking.load(tmp_path / "faces").tracks == ()


@pytest.mark.parametrize("wrong", [{"max_faces": 0}, {"search_s": 0.0}, {"gap_s": -1.0}, {"min_frames": 0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="settings"):
        TrackSettings(**wrong)  # type: ignore[arg-type]


# --- with the real tracker ---


def walk(put_head: PutHead, count: int) -> Iterator[tuple[int, Picture]]:
    """One person who sways, one who leaves for a while, and a cut to the first one alone."""
    for i in range(count):
        plate = grey(100 if i < 30 else 180)
        put_head(plate, 130 + 12 * np.sin(i / 5), 130, 0.8, 4 * np.sin(i / 7))
        if i < 30 and not 10 <= i < 16:
            put_head(plate, 350, 140, 0.7, tint=True)
        yield i, plate


@pytest.fixture(scope="module")
def walked(tracker: MediaPipeFaceMesh, put_head: PutHead, tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    from fractions import Fraction

    info = MediaInfo(path=Path("a"), kind="movie", width=W, height=H, rate=Fraction(25), frame_count=45)
    folder = tmp_path_factory.mktemp("take") / "faces"
    return track_plate(walk(put_head, 45), info, tracker, folder=folder)


def test_two_people_and_a_cut_give_three_tracks(walked: Tracking) -> None:
    assert [s.start for s in walked.shots] == [0, 30]
    swaying, leaving, alone = sorted(walked.tracks, key=lambda t: (t.shot, middle(t, t.frames.start)[0]))
    assert swaying.found.all()
    assert len(swaying.frames) == 30
    assert np.flatnonzero(~leaving.found).tolist() == list(range(10, 16))
    assert alone.frames == FrameRange(start=30, stop=45)


def test_a_followed_face_is_where_it_was_put(walked: Tracking) -> None:
    swaying = min(walked.in_shot(0), key=lambda t: middle(t, 0)[0])
    eyes = swaying.landmarks[:, [33, 263], 0].mean(axis=1)
    expected = 12 * np.sin(np.arange(30) / 5)
    assert float(np.abs((eyes - eyes.mean()) - (expected - expected.mean())).max()) < 2.0


def test_two_runs_agree_to_the_bit_and_disk_equals_memory(
    walked: Tracking, tracker: MediaPipeFaceMesh, put_head: PutHead, make_info: MakeInfo
) -> None:
    again = track_plate(walk(put_head, 45), make_info(W, H, 45), tracker)
    assert len(again.tracks) == len(walked.tracks)
    for one, two in zip(walked.tracks, again.tracks, strict=True):
        assert np.array_equal(one.landmarks, two.landmarks)
        assert np.array_equal(one.quality, two.quality)
        assert np.array_equal(one.looks, two.looks)
    assert isinstance(walked.tracks[0].landmarks, np.memmap)


def test_people_who_walk_past_each_other_keep_their_tracks(
    tracker: MediaPipeFaceMesh, put_head: PutHead, make_info: MakeInfo
) -> None:
    def clip() -> Iterator[tuple[int, Picture]]:
        for i in range(40):
            plate = put_head(grey(), 400 - 8 * i, 135, 0.8, tint=True)
            yield i, put_head(plate, 80 + 8 * i, 135, 0.9)

    tracks = track_plate(clip(), make_info(W, H, 40), tracker).tracks
    assert len(tracks) == 2
    front, back = sorted(tracks, key=lambda t: middle(t, 0)[0])
    assert front.found.all()
    assert middle(front, 39)[0] == pytest.approx(middle(front, 0)[0] + 8 * 39, abs=12)
    assert middle(back, 39)[0] == pytest.approx(middle(back, 0)[0] - 8 * 39, abs=12)
    assert not back.found[20]


def test_a_long_clip_takes_no_more_memory_on_disk_than_a_short_one(
    make_mesh: Mesh, make_info: MakeInfo, tmp_path: Path
) -> None:
    def peak(count: int) -> int:
        pictures = ((i, picture) for i in range(count))
        script = Script([[face]] * count)
        tracemalloc.start()
        track_plate(pictures, make_info(W, H, count), script, folder=tmp_path / str(count))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    picture, face = painted([(150, ANNA)]), make_mesh(150, 120)
    peak(10)
    assert peak(380) < peak(130) + 400_000  # in memory the 250 frames would take 1.5 MB


def test_a_hand_in_front_loses_the_face_or_lowers_its_quality_but_never_stops(
    tracker: MediaPipeFaceMesh, put_head: PutHead, make_info: MakeInfo
) -> None:
    def clip() -> Iterator[tuple[int, Picture]]:
        for i in range(24):
            plate = put_head(grey(), 240, 130, 1.1)
            if 8 <= i < 16:
                cv2.rectangle(plate, (180, 60), (300, 210), (150, 110, 90), -1)
            yield i, plate

    (track,) = track_plate(clip(), make_info(W, H, 24), tracker).tracks
    assert track.found[:8].all()
    assert not track.found[8:16].any()
    assert track.found[16:].all()


def test_the_built_in_tracker_is_offered_by_the_hook() -> None:
    (offered,) = julnet_face_trackers()
    assert offered.name == "mediapipe"
    offered.close()


def test_an_unreadable_folder_is_a_julnet_error(tmp_path: Path) -> None:
    with pytest.raises(JulnetError):
        Tracking.load(tmp_path)
