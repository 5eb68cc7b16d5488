from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.stats import spearmanr

from trainer.uncertainty_metrics import (
    LEVELS,
    ause,
    error_share,
    evenly_spaced,
    gradient_doubt,
    laplace_coverage,
    noise_ceiling,
    sparsification,
    spearman,
    temporal_doubt,
    uncertainty_scores,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_spearman_equals_scipys_with_ties(rng: np.random.Generator) -> None:
    a = rng.integers(0, 9, 500).astype(float)
    b = a + rng.integers(0, 20, 500)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(a, -a) == pytest.approx(-1)


def test_spearman_of_a_constant_is_undefined_and_shapes_must_agree() -> None:
    assert math.isnan(spearman(np.ones(5), np.arange(5.0)))
    with pytest.raises(ValueError, match="one length"):
        spearman(np.ones(5), np.ones(4))


def test_spearman_of_millions_of_pixels_is_quick_and_close(rng: np.random.Generator) -> None:
    sigma = rng.lognormal(-4, 0.8, 3_000_000).astype(np.float32)
    error = sigma * rng.exponential(1, len(sigma)).astype(np.float32)
    started = time.perf_counter()
    few = spearman(sigma, error, 200_000)
    assert time.perf_counter() - started < 2
    assert few == pytest.approx(spearman(sigma, error, 1_000_000), abs=0.005)


def test_the_evenly_spaced_choice_covers_the_whole_range_once() -> None:
    index = evenly_spaced(1_003, 100)
    assert len(np.unique(index)) == 100
    assert index[0] == 0
    assert index[-1] >= 990
    assert evenly_spaced(5, 100).tolist() == [0, 1, 2, 3, 4]


def test_the_noise_ceiling_is_what_a_perfect_sigma_scores(rng: np.random.Generator) -> None:
    sigma = rng.lognormal(-4, 0.7, 100_000)
    error = sigma * rng.exponential(1, len(sigma))
    ceiling = noise_ceiling(sigma)
    assert spearman(sigma, error) == pytest.approx(ceiling, abs=0.01)
    assert 0.3 < ceiling < 0.8
    assert noise_ceiling(np.full(1000, 0.1) + 1e-9 * rng.random(1000)) == pytest.approx(0, abs=0.1)


def test_sparsification_equals_its_definition_on_a_handful_of_pixels() -> None:
    error, doubt = np.array([4.0, 1.0, 3.0, 2.0]), np.array([0.4, 0.3, 0.2, 0.1])
    curve = sparsification(doubt, error, steps=4)
    mean = 2.5
    assert curve.remaining.tolist() == pytest.approx([1, (1 + 3 + 2) / 3 / mean, 2.5 / mean, 2 / mean])
    assert curve.oracle.tolist() == pytest.approx([1, 2 / mean, 1.5 / mean, 1 / mean])


def test_the_oracle_has_no_sparsification_error_and_the_blind_a_flat_curve(rng: np.random.Generator) -> None:
    error = rng.exponential(1, 20_000)
    assert ause(error, error) == pytest.approx(0, abs=1e-12)
    blind = sparsification(np.ones_like(error), error)
    assert blind.remaining.tolist() == pytest.approx([1] * 100)
    # For exponential errors the oracle's rest is 1 + r ln r / (1 - r) with r removed; its area below 1 is
    # π²/6 - 1.
    assert blind.ause == pytest.approx(math.pi**2 / 6 - 1, abs=0.02)
    assert ause(-error, error) > blind.ause


def test_pixels_that_tie_are_taken_away_together() -> None:
    error, doubt = np.array([5.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])
    shuffled = np.array([1, 0, 3, 2])
    expected = sparsification(doubt, error, 8).remaining
    np.testing.assert_allclose(sparsification(doubt[shuffled], error[shuffled], 8).remaining, expected)


def test_the_error_share_of_the_top_tenth_is_counted_exactly(rng: np.random.Generator) -> None:
    error = np.ones(100)
    error[:10] = 11.0
    assert error_share(error, error, 0.1) == pytest.approx(110 / 200)
    assert error_share(np.ones(100), error, 0.1) == pytest.approx(0.1)
    assert math.isnan(error_share(np.ones(3), np.zeros(3)))


def test_intervals_of_a_true_laplace_model_cover_what_they_say(rng: np.random.Generator) -> None:
    sigma = rng.lognormal(-4, 0.7, 200_000)
    error = np.abs(rng.laplace(0, sigma))
    for level in LEVELS:
        assert laplace_coverage(error, sigma, level) == pytest.approx(level, abs=0.005)
    assert laplace_coverage(error, sigma / 2, 0.8) < 0.6


def test_all_scores_of_a_perfect_sigma_stand_where_they_should(rng: np.random.Generator) -> None:
    sigma = rng.lognormal(-4, 0.7, 50_000)
    scores = uncertainty_scores(sigma, np.abs(rng.laplace(0, sigma)))
    assert scores.spearman == pytest.approx(scores.spearman_ceiling, abs=0.02)
    assert scores.ause < 0.7 * scores.ause_constant
    assert scores.error_share_top10 > 0.25
    assert scores.coverage["0.8"] == pytest.approx(0.8, abs=0.01)


def test_the_baselines_point_at_edges_and_at_motion() -> None:
    pictures = np.zeros((3, 8, 8, 3), np.float32)
    pictures[:, :, 4:] = 1
    pictures[2, 2, 1] = 1
    gradient, motion = gradient_doubt(pictures), temporal_doubt(pictures)
    assert set(np.argwhere(gradient[0] > 0)[:, 1]) == {3, 4}
    assert motion[0].max() == 0
    assert np.argwhere(motion[2] > 0).tolist() == [[2, 1]]
    assert temporal_doubt(pictures[:1]).max() == 0
