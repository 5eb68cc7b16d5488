from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import soundfile

from julnet_plugin.audio.features import silence, speech_rms
from julnet_plugin.audio.phones import PhoneFeatures
from julnet_plugin.audio.windows import feature_windows
from julnet_plugin.media.audio import resample_mono_16k

SILENCE_PHONE = 32


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    samples, rate = soundfile.read(
        str(files("julnet_plugin") / "data" / "demo_line.flac"), dtype="float32", always_2d=True
    )
    return resample_mono_16k(samples, rate)


def test_speech_gives_one_finite_vector_every_20_ms(line: np.ndarray) -> None:
    features = PhoneFeatures().extract(line)
    assert features.shape == (-(-len(line) // 320), 42)
    assert np.isfinite(features).all()
    assert features.min() >= -3
    assert (features.max(axis=1) > -0.7).all()


def test_speech_names_many_phones_and_silence_only_one(line: np.ndarray) -> None:
    assert len(np.unique(PhoneFeatures().extract(line).argmax(axis=1))) > 12
    assert (PhoneFeatures().extract(np.zeros(8000, np.float32)).argmax(axis=1) == SILENCE_PHONE).all()


@pytest.mark.parametrize("level", [0.0, 3e-4])
def test_room_tone_is_not_brought_up_to_speech(level: float) -> None:
    tone = level * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    assert silence(tone).all()


def test_the_level_of_a_recording_does_not_matter(line: np.ndarray) -> None:
    loud, quiet = PhoneFeatures().extract(line), PhoneFeatures().extract(line * 0.1)
    assert speech_rms(line * 0.1) == pytest.approx(0.1 * speech_rms(line), rel=1e-3)
    assert np.mean(loud.argmax(axis=1) == quiet.argmax(axis=1)) > 0.95


def test_a_pause_inside_a_line_is_silence(line: np.ndarray) -> None:
    padded = np.concatenate([line[:16000], np.zeros(16000, np.float32), line[16000:]])
    features = PhoneFeatures().extract(padded)
    assert (features[58:92].argmax(axis=1) == SILENCE_PHONE).all()


def test_blocks_do_not_show_in_long_speech(line: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PhoneFeatures().extract(line)
    monkeypatch.setattr("julnet_plugin.audio.phones._BLOCK_S", 1.6)
    blocks = PhoneFeatures().extract(line)
    assert blocks.shape == whole.shape
    assert np.mean(blocks.argmax(axis=1) == whole.argmax(axis=1)) > 0.75


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.full(700, np.nan, np.float32), np.ones(1, np.float32)])
def test_odd_input_stays_finite(samples: np.ndarray) -> None:
    features = PhoneFeatures().extract(samples)
    assert features.shape == (-(-len(samples) // 320), 42)
    assert np.isfinite(features).all()


def test_windows_are_centred_on_each_frames_own_time() -> None:
    ramp = ((np.arange(100) + 0.5) * 0.02)[:, None].astype(np.float32)  # each vector holds its own time
    times = np.array([0.5, 0.533, 1.001, 1.3])
    windows = feature_windows(ramp, times, 0.02)
    offsets = (np.arange(21) - 10) * 0.02
    assert windows[:, :, 0] == pytest.approx(times[:, None] + offsets, abs=1e-5)


def test_windows_outside_the_dub_hold_what_silence_sounds_like() -> None:
    features = np.ones((50, 3), np.float32)
    quiet = np.array([7, 8, 9], np.float32)
    windows = feature_windows(features, np.array([-1.0, 0.5, 9.0]), 0.02, outside=quiet)
    assert (windows[[0, 2]] == quiet).all()
    assert (windows[1] == 1).all()


def test_no_sound_at_all_is_outside_everywhere() -> None:
    quiet = np.arange(4, dtype=np.float32)
    assert (feature_windows(np.zeros((0, 4), np.float32), np.zeros(3), 0.02, outside=quiet) == quiet).all()
