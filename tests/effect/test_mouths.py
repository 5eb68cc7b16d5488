"""What a plate's own sound and picture tell of how its person speaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from julnet_plugin.config import load_settings
from julnet_plugin.face.tracks import QUALITY, FaceTrack
from julnet_plugin.model.lips import SHAPE_POINTS, LipBasis
from julnet_plugin.pipeline import mouths
from julnet_plugin.types import FrameRange

RATE, SECONDS = 25, 12
#: seconds from which on every second one is loud
LOUD = np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0], bool)


class Loudness:
    """The level of every 20 ms, as the only feature."""

    name, size, step_s = "loudness", 1, 0.02

    def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = np.pad(samples, (0, -len(samples) % 320)).reshape(-1, 320)
        return np.asarray(np.sqrt(np.square(steps).mean(axis=1, keepdims=True)), np.float32)


class Engine:
    """Hears lips that open with the level; speech is what is heard at all."""

    info = SimpleNamespace(audio_window=21)

    def __init__(self) -> None:
        components = np.zeros((2, len(SHAPE_POINTS), 3), np.float32)
        components[0, 20:30, 1] = components[1, :20, 0] = 1
        norm = np.linalg.norm(components.reshape(2, -1), axis=1)
        self.lip_basis: LipBasis | None = LipBasis(
            components=components.reshape(2, -1) / norm[:, None], spread=np.array([0.3, 0.1], np.float32)
        )
        self.heard: list[int] = []

    def hear_lips(self, audio: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.heard.append(len(audio))
        level = audio[:, 10, 0] * 10
        return np.stack([level, 0 * level], axis=1), (level > 0.1).astype(np.float32)


@pytest.fixture
def sound(make_sound: Callable[..., Path]) -> Path:
    time = np.arange(SECONDS * 48_000) / 48_000
    wave = 0.2 * np.sin(2 * np.pi * 440 * time) * LOUD[time.astype(int)]
    return make_sound("plate.wav", wave.astype(np.float32)[:, None])


def job(path: Path, engine: Engine, audio: tuple[Any, ...] = (None,), **settings: float) -> Any:
    info = SimpleNamespace(path=path, audio=audio, rate=RATE, time_of=lambda frame: frame / RATE)
    overrides = {name.replace("_", "."): value for name, value in settings.items()}
    return SimpleNamespace(info=info, engine=engine, extractor=Loudness(), settings=load_settings(overrides))


def speaker(engine: Engine, habit: float, frames: FrameRange, monkeypatch: pytest.MonkeyPatch) -> FaceTrack:
    """A face that opens its mouth where LOUD is, its lips wider by `habit` while it does."""
    monkeypatch.setattr(mouths, "lips_in_face", lambda landmarks: np.asarray(landmarks[:, :48], np.float32))
    loud = LOUD[np.arange(frames.start, frames.stop) // RATE]
    assert engine.lip_basis is not None
    codes = np.stack([loud * 1.4, loud * habit], axis=1).astype(np.float32)
    landmarks = np.zeros((len(frames), 478, 3), np.float32)
    landmarks[:, 30:40, 1] = -0.02
    landmarks[:, :48] += engine.lip_basis.decode(codes)
    quality = np.zeros(len(frames), QUALITY)
    quality["found"] = True
    return FaceTrack(
        index=0, shot=0, frames=frames, landmarks=landmarks, quality=quality, looks=np.zeros((len(frames), 12, 12, 3))
    )


def moved(engine: Engine, mouth: mouths.Mouth) -> NDArray[np.float32]:
    assert engine.lip_basis is not None
    return engine.lip_basis.encode(mouth.spoken[None], mouth.closed)[0]


@pytest.mark.parametrize(("start", "loud_s"), [(0, 6), (75, 4)])
def test_the_habit_is_that_of_the_shots_own_frames(
    start: int, loud_s: int, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    track = speaker(engine, 0.8, FrameRange(start=start, stop=SECONDS * RATE), monkeypatch)
    assert LOUD[start // RATE :].sum() == loud_s
    found = moved(engine, mouths.mouths_of(job(sound, engine), {0: track})[0])
    assert found[1] == pytest.approx(0.8 * loud_s / (loud_s + 2), rel=0.05)
    half = moved(engine, mouths.mouths_of(job(sound, engine, mouth_habit=0.5), {0: track})[0])
    assert half == pytest.approx(found / 2, abs=1e-5)


def test_a_long_shot_is_heard_in_its_middle(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(mouths, "_HEARD_S", 4.0)
    track = speaker(engine, 0.8, FrameRange(start=0, stop=SECONDS * RATE), monkeypatch)
    found = moved(engine, mouths.mouths_of(job(sound, engine), {0: track})[0])
    assert engine.heard == [4 * RATE]
    loud_s = LOUD[4:8].sum()
    assert found[1] == pytest.approx(0.8 * loud_s / (loud_s + 2), rel=0.05)


def test_nothing_is_known_of_who_is_not_heard(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine()
    track = speaker(engine, 0.8, FrameRange(start=0, stop=SECONDS * RATE), monkeypatch)
    deaf = Engine()
    deaf.lip_basis = None
    (tmp_path / "damaged.mov").write_bytes(b"no sound")
    caplog.set_level("INFO")
    for unknown in (
        job(sound, engine, audio=()),
        job(sound, deaf),
        job(tmp_path / "damaged.mov", engine),
    ):
        mouth = mouths.mouths_of(unknown, {0: track})[0]
        assert np.array_equal(mouth.closed, mouth.spoken)
        assert mouth.speech is None
    assert "how the person speaks is not known" in caplog.text
    glimpse = speaker(engine, 0.8, FrameRange(start=30, stop=34), monkeypatch)
    mouth = mouths.mouths_of(job(sound, engine), {0: glimpse})[0]
    assert np.array_equal(mouth.closed, mouth.spoken)
    assert not engine.heard
    late = speaker(engine, 0.8, FrameRange(start=0, stop=SECONDS * RATE), monkeypatch)
    long_after = job(sound, engine)
    long_after.info.time_of = lambda frame: 60 + frame / RATE  # the plate's sound ends before
    mouth = mouths.mouths_of(long_after, {0: late})[0]
    assert np.array_equal(mouth.closed, mouth.spoken)
    assert mouth.speech is not None
    assert mouth.speech.theirs == 0


def test_what_the_plate_says_is_known_of_every_frame_even_where_no_habit_is_wanted(
    sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    track = speaker(engine, 0.8, FrameRange(start=25, stop=SECONDS * RATE), monkeypatch)
    mouth = mouths.mouths_of(job(sound, engine, mouth_habit=0), {0: track})[0]
    assert np.array_equal(mouth.closed, mouth.spoken)
    assert mouth.speech is not None
    assert mouth.speech.frames == track.frames
    assert mouth.speech.theirs == 1
    frames = np.array([30, 85, 140, 299])
    level = mouth.speech.windows(frames, 21)[:, 10, 0]
    assert (level > 0.05).tolist() == LOUD[frames // RATE].tolist()


def test_every_shot_has_its_own_habit_and_the_plate_is_read_once(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from julnet_plugin.media import audio

    engine, read, opened = Engine(), audio.iter_audio, []
    monkeypatch.setattr(audio, "iter_audio", lambda *source: opened.append(source) or read(*source))
    tracks = {
        shot: speaker(engine, habit, FrameRange(start=150 * shot, stop=150 * shot + 150), monkeypatch)
        for shot, habit in ((1, -0.4), (0, 0.8))
    }
    found = mouths.mouths_of(job(sound, engine), tracks)
    for shot, habit in ((0, 0.8), (1, -0.4)):
        loud_s = LOUD[6 * shot : 6 * shot + 6].sum()
        assert moved(engine, found[shot])[1] == pytest.approx(habit * loud_s / (loud_s + 2), rel=0.05)
    assert len(opened) == 1
