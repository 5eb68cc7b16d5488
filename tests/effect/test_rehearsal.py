"""A rehearsal: what the network gets wrong on frames of the plate, said by the plate's own sound, scales σ."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from julnet_plugin.face.tracks import QUALITY, FaceTrack
from julnet_plugin.media.reader import PlateFrame
from julnet_plugin.model.lips import inner_gap
from julnet_plugin.pipeline import mouths, references, rehearsal
from julnet_plugin.pipeline.cropdata import Plan
from julnet_plugin.pipeline.mouths import Mouth, Speech
from julnet_plugin.pipeline.rehearsal import (
    GRID,
    Shown,
    in_cells,
    over_crop,
    rehearsal_frames,
    rehearsed,
    sigma_gain,
    spread_out,
)
from julnet_plugin.types import FrameRange

SIZE, RATE, START = (104, 80), 25, 50
SQUARE = np.array([[40, 140], [280, 140], [280, 370], [40, 370]], np.float32)


def cells(upper: float, lower: float, frames: int) -> NDArray[np.float32]:
    values = np.full((frames, GRID, GRID), upper, np.float32)
    values[:, GRID // 2 :] = lower
    return values


@given(st.integers(1, 60), st.floats(0.3, 3), st.floats(0, 1))
def test_a_network_that_is_wrong_everywhere_alike_is_corrected_the_more_frames_say_so(
    frames: int, wrong: float, share: float
) -> None:
    sigma = cells(0.02, 0.05, frames)
    gain = sigma_gain(sigma * np.float32(wrong), sigma, share)
    np.testing.assert_allclose(gain, wrong ** (share * frames / (frames + 3)), rtol=1e-4)


def test_each_part_of_the_mouth_has_its_own_gain_and_none_is_absurd() -> None:
    gain = sigma_gain(cells(0.06, 0.02, 100), cells(0.03, 0.04, 100))
    assert (gain[:20] > 1.3).all()
    assert (gain[-20:] < 0.8).all()
    absurd = sigma_gain(cells(1, 1, 1000), cells(1e-4, 1e-4, 1000))
    assert absurd.max() <= 4
    assert sigma_gain(cells(0, 0, 1000), cells(0.1, 0.1, 1000)).min() >= 0.25


@pytest.mark.parametrize("frames", [0, 5])
def test_where_nothing_is_known_nothing_changes(frames: int) -> None:
    assert (sigma_gain(cells(0.1, 0.1, frames), cells(0, 0, frames)) == 1).all()
    assert (sigma_gain(cells(0.1, 0.1, frames), cells(0.2, 0.2, frames), share=0) == 1).all()


def test_cells_lie_over_the_mouth_square() -> None:
    crop = np.zeros(SIZE, np.float32)
    crop[32:96, 8:72] = np.arange(64)[:, None]
    found = in_cells(crop)
    np.testing.assert_allclose(found, np.repeat(np.arange(64, dtype=np.float32)[:, None], 64, axis=1))
    whole = over_crop(found, SIZE)
    assert (whole[:32] == 1).all()
    assert (whole[:, :8] == 1).all()
    np.testing.assert_allclose(whole[32:96, 8:72], crop[32:96, 8:72])


def test_a_few_are_taken_evenly() -> None:
    assert spread_out(np.arange(10, 90), 3).tolist() == [10, 50, 89]
    assert spread_out(np.arange(2), 8).tolist() == [0, 1]
    assert spread_out(np.zeros(0, np.int64)).tolist() == []


class Sound:
    """Says which row it was asked about."""

    def windows(self, times_s: NDArray[np.float64], steps: int) -> NDArray[np.float32]:
        return np.tile(np.round(times_s * RATE)[:, None, None], (1, steps, 1)).astype(np.float32)


class Engine:
    """Draws grey, says σ = 0.05, and remembers what it was asked."""

    info = SimpleNamespace(n_refs=3, crop_size=SIZE, audio_window=21)

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], int]] = []

    def set_references(self, pictures: NDArray[np.float32], lips: NDArray[np.float32]) -> None:
        assert len(lips) == len(pictures) + 2
        assert (np.diff(inner_gap(lips[:3])) >= 0).all(), "the most closed first"
        self.references = np.round(pictures[:, 0, 0, 0] * 1000).astype(int).tolist()

    def run(self, masked: NDArray[np.float32], mask: NDArray[np.float32], audio: NDArray[np.float32]) -> Any:
        assert masked.shape == (1, *SIZE, 3)
        assert audio.shape == (1, 21, 1)
        self.asked.append((self.references, int(audio[0, 0, 0])))
        image = masked + 0.5 * mask[..., None]
        return SimpleNamespace(image=image, sigma=0.05 * mask)


def face(monkeypatch: pytest.MonkeyPatch, frames: int = 200) -> FaceTrack:
    monkeypatch.setattr(mouths, "lips_in_face", lambda landmarks: np.asarray(landmarks[:, :48], np.float32))
    rng = np.random.default_rng(1)
    landmarks = rng.uniform(0, 1, (1, 478, 3)).astype(np.float32) * 100 + np.zeros((frames, 1, 1), np.float32)
    landmarks[:, 30:40, 1] += rng.uniform(0, 20, (frames, 1))
    quality = np.zeros(frames, QUALITY)
    quality["found"], quality["presence"], quality["inside"], quality["sharpness"] = True, 1, 1, 1
    looks = np.zeros((frames, 12, 12, 3), np.uint8)
    span = FrameRange(start=START, stop=START + frames)
    return FaceTrack(index=0, shot=0, frames=span, landmarks=landmarks, quality=quality, looks=looks)


def speech(track: FaceTrack, theirs: float = 1.0, lag: int = 0) -> Speech:
    times_s = np.arange(len(track.frames)) / RATE
    return Speech(frames=track.frames, sound=Sound(), times_s=times_s, theirs=theirs, lag=lag)  # type: ignore[arg-type]


def test_frames_are_drawn_where_the_face_is_clear_and_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    track = face(monkeypatch)
    assert rehearsal_frames(track, None) == ()
    assert rehearsal_frames(track, speech(track, theirs=0.0)) == ()
    assert rehearsal_frames(track, speech(track)) == tuple(START + k for k in (0, 28, 57, 85, 114, 142, 171, 199))
    track.quality["covered"][:100] = 0.4
    track.quality["found"][150:] = False
    track.quality["inside"][100:120] = 0.9
    chosen = rehearsal_frames(track, speech(track))
    assert (min(chosen), max(chosen), len(chosen)) == (START + 120, START + 149, 8)


def test_what_is_drawn_is_heard_on_its_own_frame_and_never_seen_near_it(monkeypatch: pytest.MonkeyPatch) -> None:
    track, engine = face(monkeypatch), Engine()
    frames = tuple(range(START, START + 200, 20))
    pictures = {f: np.full((*SIZE, 3), f * 65.535, np.float64) for f in frames}
    shown = {f: Shown(np.rint(p).astype(np.uint16), SQUARE) for f, p in pictures.items()}
    job: Any = SimpleNamespace(engine=engine, info=SimpleNamespace(rate=RATE), request=SimpleNamespace(seed=0))
    closed = np.zeros((48, 3), np.float32)
    mouth = Mouth(closed=closed, spoken=closed, speech=speech(track, lag=2))
    gain = rehearsed(job, track, mouth, shown, frames[:4])
    assert [row for _, row in engine.asked] == [2, 22, 42, 62]
    for (lent, _), frame in zip(engine.asked, frames[:4], strict=True):
        assert set(lent) <= set(frames)
        assert min(abs(f - frame) for f in lent) >= RATE
    assert gain is not None
    wrong = np.mean([abs(0.5 - f / 1000) for f in frames[:4]]) / 0.05
    middle = gain[GRID // 2, GRID // 2]
    assert middle == pytest.approx(min(wrong, 4) ** (4 / 7), rel=0.02)
    few = dict(list(shown.items())[:3])
    assert rehearsed(job, track, mouth, few, frames[:3]) is None
    silent = Mouth(closed=closed, spoken=closed)
    assert rehearsed(job, track, silent, shown, frames[:4]) is None


class Plate:
    """Frames whose pixels say which they are, and which of them were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def frames(self, span: FrameRange) -> Any:
        for index in range(span.start, span.stop):
            self.read.append(index)
            yield PlateFrame(index, index / RATE, rgb=np.full((208, 160, 3), index % 256, np.uint8))

    def frame(self, index: int) -> Any:
        return next(iter(self.frames(FrameRange(start=index, stop=index + 1))))


def test_every_shot_is_tried_with_its_own_frames_in_the_pass_that_reads_its_references(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracks = {0: face(monkeypatch, 100), 1: face(monkeypatch, 100)}
    tracks[1] = replace(tracks[1], shot=1, frames=FrameRange(start=START + 100, stop=START + 200))
    monkeypatch.setattr(references, "lips_in_face", mouths.lips_in_face)
    closed = np.zeros((48, 3), np.float32)
    heard = {shot: Mouth(closed=closed, spoken=closed, speech=speech(track)) for shot, track in tracks.items()}
    monkeypatch.setattr(references, "mouths_of", lambda job, tracks: heard)
    tried: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def try_out(job: Any, track: FaceTrack, mouth: Mouth, shown: dict[int, Shown], frames: Any) -> Any:
        assert all((shown[f].crop == np.uint16(round(f % 256 / 255 * 65535))).all() for f in shown)
        tried[track.shot] = tuple(shown), tuple(frames)
        return None if track.shot else np.full((GRID, GRID), 1.5, np.float32)

    monkeypatch.setattr(rehearsal, "rehearsed", try_out)
    count = 200
    plan = Plan(
        plate_from_crop=np.tile(np.array([[0.5, 0, 0], [0, 0.5, 0]]), (count, 1, 1)),
        region=np.tile(SQUARE, (count, 1, 1)), weight=np.ones(count, np.float32),
        shot=np.repeat(np.arange(2, dtype=np.int32), 100), mouth_px=np.full(count, 128.0),
        angles=np.zeros((count, 3)), found=np.ones(count, np.bool_), sharpness=np.ones(count, np.float32),
        covered=np.zeros(count, np.float32),
    )  # fmt: skip
    job: Any = SimpleNamespace(
        engine=Engine(), frames=FrameRange(start=START, stop=START + count), info=SimpleNamespace(rate=RATE),
        transform=SimpleNamespace(to_display=lambda pixels: np.asarray(pixels, np.float32) / 255),
    )  # fmt: skip
    choices: Any = [SimpleNamespace(shot=s, track=SimpleNamespace(entire=t)) for s, t in tracks.items()]
    own = {0: (60, 90, 120), 1: (155, 201, 230)}
    chosen = references.Chosen(groups=tuple(own.items()), of_frame=np.repeat([0, 1], 100).astype(np.int32))
    plate = Plate()
    found = references.cut_references(job, plate, plan, choices, chosen)  # type: ignore[arg-type]
    for shot, track in tracks.items():
        frames = rehearsal_frames(track, heard[shot].speech)
        assert tried[shot] == (tuple(sorted({*frames, *own[shot]})), frames)
    assert found.rehearsed.tolist() == [0]
    gain = found.gain_of(0)
    assert gain is not None
    assert (gain == 1.5).all()
    assert found.gain_of(1) is None
    assert sorted(found.frames_of(0)) == sorted(own[0])
    assert len(found.images) == 6
    tried.clear()
    plain = references.cut_references(job, Plate(), plan, choices, chosen, rehearse=False)  # type: ignore[arg-type]
    assert not tried
    assert np.array_equal(plain.images, found.images)
    assert plain.gain_of(0) is None


def test_no_more_than_one_shot_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = {
        shot: replace(face(monkeypatch, 100), shot=shot, frames=FrameRange(start=100 * shot, stop=100 * shot + 100))
        for shot in range(4)
    }
    closed = np.zeros((48, 3), np.float32)
    heard = {shot: Mouth(closed=closed, spoken=closed, speech=speech(track)) for shot, track in tracks.items()}
    held: list[int] = []
    monkeypatch.setattr(rehearsal, "rehearsed", lambda job, track, mouth, shown, frames: held.append(len(shown)))
    groups = [(shot, (100 * shot + 3, 100 * shot + 50)) for shot in tracks]
    trials = rehearsal.Rehearsals(SimpleNamespace(), tracks, heard, groups)  # type: ignore[arg-type]
    blank = Shown(np.zeros((*SIZE, 3), np.uint16), SQUARE)
    most = 0
    for frame in range(400):  # also frames that nobody asked for
        trials.see(frame, blank)
        most = max(most, len(trials._shown))
    assert held == [10] * 4
    assert most < 10
    assert not trials._shown
    assert not trials.gains
