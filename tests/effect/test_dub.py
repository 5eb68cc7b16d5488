"""The dub as the network hears it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from julnet_plugin.errors import MediaError
from julnet_plugin.media.audio import read_audio, resample_mono_16k
from julnet_plugin.pipeline import dub


class Loudness:
    """Honest small features: level and zero crossings of every 20 ms."""

    name, size, step_s = "loudness", 2, 0.02

    def extract(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = np.pad(samples, (0, -len(samples) % 320)).reshape(-1, 320)
        level = np.sqrt(np.square(steps).mean(axis=1))
        crossings = (np.diff(np.sign(steps), axis=1) != 0).mean(axis=1)
        return np.asarray(np.stack([level, crossings], axis=1), np.float32)


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    time = np.arange(48_000) / 48_000
    wave = np.where(time < 0.5, np.sin(2 * np.pi * 440 * time), 0) * 0.5
    soundfile.write(tmp_path / "tone.wav", np.stack([wave, 0 * wave], axis=1), 48_000, subtype="FLOAT")
    return tmp_path / "tone.wav"


def test_reading_in_blocks_equals_reading_whole(tone: Path) -> None:
    whole = resample_mono_16k(*read_audio(tone))
    blocks = dub.read_mono_16k(tone, 0)
    assert abs(len(blocks) - len(whole)) <= 1
    assert np.abs(blocks[: len(whole)] - whole[: len(blocks)]).max() < 1e-5


def test_a_window_is_centred_on_its_frames_own_time(tone: Path) -> None:
    heard = dub.hear(tone, 0, Loudness())
    assert heard.duration_s == pytest.approx(1.0, abs=1e-4)
    windows = heard.windows(np.array([0.25, 0.5, 2.0]), 21)
    assert windows.shape == (3, 21, 2)
    assert windows[0, :, 0] == pytest.approx(0.5 * 0.5 / np.sqrt(2), rel=0.02)
    assert windows[1, 0, 0] > 0.1 > windows[1, -1, 0]
    assert np.array_equal(windows[2], np.broadcast_to(heard.outside, (21, 2)))


def test_features_survive_a_resumed_job(tone: Path, tmp_path: Path) -> None:
    heard = dub.hear(tone, 0, Loudness())
    heard.save(tmp_path / "dub.npz")
    again = dub.Dub.load(tmp_path / "dub.npz")
    times = np.linspace(-0.3, 1.3, 7)
    assert np.array_equal(again.windows(times, 21), heard.windows(times, 21))


def test_a_dub_without_sound_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "silent.wav").write_bytes(b"")
    with pytest.raises(MediaError):
        dub.hear(tmp_path / "silent.wav", 0, Loudness())


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_part_of_a_sound_is_that_part_and_no_more_is_decoded(
    rate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from julnet_plugin.media import audio

    wave = np.sin(np.arange(10 * rate) ** 1.2 / rate)
    soundfile.write(tmp_path / "long.wav", wave, rate, subtype="FLOAT")
    whole = dub.read_mono_16k(tmp_path / "long.wav", 0)
    read, ended = audio.iter_audio, []

    def counted(path: Path, track: int) -> Iterator[NDArray[np.float32]]:
        for block in read(path, track):
            ended.append(len(block))
            yield block

    monkeypatch.setattr(audio, "iter_audio", counted)
    spans = [(0.5, 1.0), (2.5, 4.0), (3.5, 4.5)]
    parts = list(dub.iter_mono_16k(tmp_path / "long.wav", 0, spans))
    for part, (start_s, stop_s) in zip(parts, spans, strict=True):
        expected = whole[round(start_s * 16_000) : round(stop_s * 16_000)]
        assert len(part) == pytest.approx(len(expected), abs=1)
        inner = slice(200, len(expected) - 200)  # at its edges a resampler hears nothing beyond
        assert np.abs(part[inner] - expected[inner]).max() < 1e-3
    assert sum(ended) < 5 * rate
    [beyond] = dub.iter_mono_16k(tmp_path / "long.wav", 0, [(60.0, 70.0)])
    assert len(beyond) == 0
    assert not list(dub.iter_mono_16k(tmp_path / "not there.wav", 0, []))
    assert dub.hear_samples(beyond, Loudness()).features.shape == (0, 2)
