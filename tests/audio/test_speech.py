from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open

from julnet_plugin.audio.speech import BLOCK_STEPS, WEIGHTS, WIDTH, SpeechFeatures, hear, log_mel, recogniser
from julnet_plugin.media.audio import resample_mono_16k


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    samples, rate = soundfile.read(
        str(files("julnet_plugin") / "data" / "demo_line.flac"), dtype="float32", always_2d=True
    )
    return resample_mono_16k(samples, rate)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_speech_gives_one_finite_vector_every_20_ms(line: np.ndarray) -> None:
    features = SpeechFeatures().extract(line)
    assert features.shape == (-(-len(line) // 320), SpeechFeatures.size)
    assert np.isfinite(features).all()
    assert (features.std(axis=0) > 0).all()


def test_the_level_of_a_recording_does_not_matter(line: np.ndarray) -> None:
    known = recogniser()
    loud, quiet = (hear(sound, known.encoder, known.mel, known.mean) for sound in (line, line * np.float32(0.1)))
    assert likeness(loud, quiet) > 0.999


def test_silent_steps_are_all_alike_and_unlike_speech(line: np.ndarray) -> None:
    padded = np.concatenate([line[:16000], np.zeros(16000, np.float32), line[16000:]])
    features, quiet = SpeechFeatures().extract(padded), recogniser().silence
    assert (features[58:92] == quiet).all()
    assert (SpeechFeatures().extract(np.zeros(8000, np.float32)) == quiet).all()
    speech = np.linalg.norm(features[20:45] - quiet, axis=1)
    assert speech.min() > 1


def test_a_vector_describes_the_sound_amid_its_step(line: np.ndarray) -> None:
    """What is moved by whole steps answers the same, and a click is felt most on both sides of its own moment."""
    known, moved = recogniser(), np.concatenate([np.zeros(25 * 320, np.float32), line])
    there, here = (
        hear(moved, known.encoder, known.mel, known.mean)[75:150],
        hear(line, known.encoder, known.mel, known.mean)[50:125],
    )
    assert likeness(there, here) > 0.98
    at = 100 * 320 + 160  # the middle of step 100
    noise = np.random.default_rng(0).standard_normal(4 * 16000).astype(np.float32) * 1e-2
    clicked = noise.copy()
    clicked[at - 40 : at + 40] += 1.0
    change = np.abs(
        hear(clicked, known.encoder, known.mel, known.mean) - hear(noise, known.encoder, known.mel, known.mean)
    ).sum(axis=1)
    near = change[90:111] - np.median(change)
    assert (near * np.arange(-10, 11)).sum() / near.sum() == pytest.approx(0, abs=0.4)


def test_blocks_do_not_show_in_long_speech(line: np.ndarray) -> None:
    long = np.tile(line, -(-20 * 16000 // len(line)))[: 20 * 16000]
    known = recogniser()
    whole = hear(long, known.encoder, known.mel, known.mean)
    assert whole.shape == (1000, WIDTH)
    middle = long[5 * 16000 : 13 * 16000]  # the same sound in a block of its own
    alone = hear(middle, known.encoder, known.mel, known.mean)
    assert len(alone) == BLOCK_STEPS
    assert likeness(whole[300:600], alone[50:350]) > 0.95
    steps = np.abs(np.diff(whole, axis=0)).mean(axis=1)
    seams = steps[[k * BLOCK_STEPS // 2 - 1 for k in range(1, 5)]]
    assert seams.max() < np.percentile(steps, 99)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(0, np.float32), np.full(700, np.nan, np.float32), np.ones(1, np.float32), np.ones(128_000, np.float32)],
)
def test_odd_input_stays_finite(samples: np.ndarray) -> None:
    features = SpeechFeatures().extract(samples)
    assert features.shape == (-(-len(samples) // 320), SpeechFeatures.size)
    assert np.isfinite(features).all()


def test_the_spectrogram_is_that_of_the_definition(line: np.ndarray) -> None:
    """Brute force: the power of one Hann window, 80 triangles of unit area on Slaney's mel scale."""
    import librosa

    mel = recogniser().mel
    at, window = 37, 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(np.fft.rfft(line[at * 160 - 200 : at * 160 + 200] * window)) ** 2
    bands = np.log10(np.maximum(librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80) @ power, 1e-10))
    found = log_mel(torch.from_numpy(line), mel)
    unclipped = (found[:, at].numpy() * 4 - 4) > found.min().item() * 4 - 4 + 1e-3
    assert np.allclose((found[:, at].numpy() * 4 - 4)[unclipped], bands[unclipped], atol=1e-3)


def test_the_weights_say_where_they_come_from() -> None:
    with safe_open(WEIGHTS, framework="pt") as file:
        known: dict[str, Any] = file.metadata()
    assert "Daily" in known["source"]
    assert "OpenAI" in known["source"]
    assert Path(WEIGHTS).stat().st_size < 10e6
