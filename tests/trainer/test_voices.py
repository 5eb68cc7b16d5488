"""One voice from two; measured on real talking heads in docs/training.md, here on the demo's line and on pure tones."""

from __future__ import annotations

import math
from importlib.resources import as_file, files

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample

from trainer.gates import Gates
from trainer.voices import SAMPLE_RATE_HZ, overlapped_share

Sound = NDArray[np.float64]


@pytest.fixture(scope="module")
def line() -> Sound:
    """3.9 s of one voice."""
    with as_file(files("julnet_plugin").joinpath("data", "demo_line.flac")) as path:
        samples, rate = soundfile.read(path)
    assert rate == SAMPLE_RATE_HZ
    return np.asarray(samples, np.float64)


def sung(pitch_hz: float, seed: int = 0) -> Sound:
    """Two seconds of a vowel with vibrato."""
    rng = np.random.default_rng(seed)
    times = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.03 * np.sin(4 * np.pi * times))) / SAMPLE_RATE_HZ
    tone = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 9))
    return np.asarray(tone + 0.01 * rng.standard_normal(len(times)), np.float64)


def test_a_voice_alone_passes_the_gate_and_two_at_once_do_not(line: Sound) -> None:
    most = Gates().max_overlap
    assert overlapped_share(line) < most
    for pitch in (0.8, 1.3):
        other = np.asarray(resample(line, round(len(line) / pitch)))
        length = min(len(line), len(other))
        assert overlapped_share(other) < most
        assert overlapped_share(line[:length] + other[:length]) > most


def test_moments_with_two_pitches_are_counted_and_those_with_one_are_not() -> None:
    low, high = sung(120), sung(190, seed=1)
    assert overlapped_share(low) == overlapped_share(high) == 0
    assert overlapped_share(low + high) > 0.9
    in_turns = np.concatenate([low, high])
    assert overlapped_share(in_turns) < 0.1
    half = np.concatenate([low, low + high])
    assert overlapped_share(half) == pytest.approx(0.5, abs=0.1)


def test_a_voice_and_its_octave_are_one_voice() -> None:
    assert overlapped_share(sung(110) + 0.5 * sung(220)) < 0.05


def test_hiss_is_no_second_voice() -> None:
    hiss = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE_HZ)
    assert overlapped_share(hiss) == 0
    assert overlapped_share(sung(150) + 0.2 * hiss) < 0.05


def test_of_too_little_sound_nothing_is_said() -> None:
    assert math.isnan(overlapped_share(np.zeros(0)))
    assert math.isnan(overlapped_share(np.zeros(4 * SAMPLE_RATE_HZ)))
    assert math.isnan(overlapped_share(sung(120)[: SAMPLE_RATE_HZ // 2]))


def test_long_sound_is_judged_piece_by_piece_as_a_whole(line: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = overlapped_share(line)
    monkeypatch.setattr("trainer.voices._AT_ONCE", 7)
    assert overlapped_share(line) == whole
