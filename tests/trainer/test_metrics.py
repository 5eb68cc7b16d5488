from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from trainer.metrics import (
    PSNR_CAP_DB,
    best_correlation,
    bootstrap,
    correlation,
    flicker,
    lip_sync_error,
    mouth_landmark_distance,
    over_blocks,
    over_speakers,
    psnr,
    speech_envelope,
    ssim,
    ssim_map,
    sync_accuracy,
)

Pictures = NDArray[np.float32]
Embeddings = NDArray[np.float64]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def pictures(rng: np.random.Generator) -> tuple[Pictures, Pictures]:
    truth = rng.random((3, 32, 40, 3)).astype(np.float32)
    noisy = truth + rng.normal(0, 0.05, truth.shape).astype(np.float32)
    return np.clip(noisy, 0, 1), truth


def test_psnr_and_ssim_agree_with_scikit_image(pictures: tuple[Pictures, Pictures]) -> None:
    generated, truth = pictures
    assert psnr(generated, truth)[1] == pytest.approx(
        peak_signal_noise_ratio(truth[1], generated[1], data_range=1), abs=1e-4
    )
    _, theirs = structural_similarity(
        truth[0].astype(float),
        generated[0].astype(float),
        data_range=1,
        channel_axis=2,
        full=True,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    np.testing.assert_allclose(ssim_map(generated[0], truth[0]), theirs, atol=1e-6)
    assert ssim(generated, truth)[0] == pytest.approx(theirs.mean(), abs=1e-6)


def test_a_perfect_frame_is_capped_and_an_empty_mask_is_no_number(pictures: tuple[Pictures, Pictures]) -> None:
    generated, truth = pictures
    assert psnr(truth, truth).tolist() == [PSNR_CAP_DB] * 3
    mask = np.zeros(truth.shape[:3])
    mask[0] = 1
    assert np.isnan(psnr(generated, truth, mask)).tolist() == [False, True, True]


def test_only_the_mask_counts(pictures: tuple[Pictures, Pictures]) -> None:
    generated, truth = pictures
    mask = np.zeros((32, 40))
    mask[8:24, 10:30] = 1
    box = np.s_[:, 8:24, 10:30]
    np.testing.assert_allclose(psnr(generated, truth, mask), psnr(generated[box], truth[box]))
    spoilt = generated.copy()
    spoilt[:, :4] = 0
    np.testing.assert_allclose(psnr(spoilt, truth, mask), psnr(generated, truth, mask))


def test_flicker_ignores_a_constant_error_and_counts_a_changing_one(pictures: tuple[Pictures, Pictures]) -> None:
    _, truth = pictures
    assert flicker(truth + 0.2, truth) == pytest.approx([0, 0], abs=1e-6)
    blinking = truth.copy()
    blinking[1] += 0.1
    assert flicker(blinking, truth) == pytest.approx([0.1, 0.1], abs=1e-6)


def test_the_landmark_distance_is_per_cent_of_the_face_unit() -> None:
    truth = np.zeros((2, 5, 2))
    moved = truth + np.array([3.0, 4.0])
    assert mouth_landmark_distance(moved, truth, np.array([100.0, 50.0])).tolist() == [5.0, 10.0]


def speech(rng: np.random.Generator, frames: int = 120, noise: float = 0.3) -> tuple[Embeddings, Embeddings]:
    audio = rng.normal(size=(frames, 16))
    return audio + noise * rng.normal(size=audio.shape), audio


def test_lse_equals_its_definition_and_finds_the_offset(rng: np.random.Generator) -> None:
    video, audio = speech(rng)
    late = np.roll(audio, 4, axis=0)  # the sound comes 4 frames late
    found = lip_sync_error(video, late)
    assert found.offset == 4
    means = []
    for shift in range(-15, 16):
        pairs = [np.linalg.norm(video[t] - late[t + shift]) for t in range(120) if 0 <= t + shift < 120]
        means.append(float(np.mean(pairs)))
    assert found.lse_d == pytest.approx(min(means))
    assert found.lse_c == pytest.approx(np.median(means) - min(means))


def test_lse_of_unrelated_sound_has_no_confidence(rng: np.random.Generator) -> None:
    video, audio = speech(rng)
    foreign = rng.normal(size=audio.shape)
    assert lip_sync_error(video, foreign).lse_c < 0.2 * lip_sync_error(video, audio).lse_c
    with pytest.raises(ValueError, match="in pairs"):
        lip_sync_error(video, audio[:-1])


def test_sync_accuracy_is_one_for_a_good_judge_and_a_half_for_a_blind_one(rng: np.random.Generator) -> None:
    video, audio = speech(rng)
    assert sync_accuracy(video, audio) == 1.0
    blind = [sync_accuracy(rng.normal(size=(200, 16)), rng.normal(size=(200, 16))) for _ in range(10)]
    assert np.mean(blind) == pytest.approx(0.5, abs=0.12)
    assert math.isnan(sync_accuracy(video[:30], audio[:30]))


def test_correlation_skips_missing_frames_and_constants() -> None:
    a = np.array([0, 1, np.nan, 3, 4.0])
    assert correlation(a, 2 * np.arange(5.0)) == pytest.approx(1)
    assert math.isnan(correlation(np.ones(5), np.arange(5.0)))
    assert math.isnan(correlation(a[:2], a[:2]))


def test_the_best_lag_is_found_and_signed(rng: np.random.Generator) -> None:
    sound = np.convolve(rng.normal(size=200), np.ones(5) / 5, mode="same")
    lips = np.roll(sound, -3)  # lips move 3 frames before the sound is heard
    value, lag = best_correlation(lips, sound, reach=6)
    assert lag == 3
    assert value > 0.95
    assert math.isnan(best_correlation(np.ones(9), np.ones(9), 2)[0])


def test_the_envelope_is_the_level_of_the_sound_at_each_moment() -> None:
    rate = 16000
    t = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 400 * t)
    tone[: rate // 2] = 0
    level = speech_envelope(tone, rate, np.array([0.2, 0.8, 5.0]))
    assert level[0] == 0
    assert level[1] == pytest.approx(60 + 10 * math.log10(0.125), abs=0.2)
    assert level[2] == 0


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says(rng: np.random.Generator) -> None:
    held = 0
    for k in range(200):
        found = bootstrap(rng.normal(3, 1, 40), seed=k, draws=400)
        held += found.low <= 3 <= found.high
    assert 0.88 <= held / 200 <= 0.99
    assert bootstrap([float("nan")]).count == 0


def test_speakers_weigh_the_same_however_long_they_speak() -> None:
    found = over_speakers({"a": [1.0] * 1000, "b": [3.0], "c": [float("nan")]})
    assert (found.mean, found.count) == (2.0, 2)
    assert found.low == 1.0
    assert found.high == 3.0


def test_blocks_of_like_frames_give_a_wider_interval_than_frames(rng: np.random.Generator) -> None:
    frames = np.repeat(rng.normal(size=20), 25)
    by_block, by_frame = over_blocks(frames), bootstrap(frames)
    assert by_block.high - by_block.low > 3 * (by_frame.high - by_frame.low)
