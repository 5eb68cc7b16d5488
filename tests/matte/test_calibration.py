from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from julnet_plugin.errors import CheckpointError
from julnet_plugin.matte.calibration import (
    LEVELS,
    Calibration,
    calibration_from_json,
    calibration_of,
    fit_calibration,
    interval_coverage,
    isotonic,
    laplace_factors,
)


def drawn(seed=0, count=60_000, wrong=2.0):
    """σ that are too small by a factor and Laplace errors around the truth."""
    rng = np.random.default_rng(seed)
    true = rng.gamma(2.0, 0.01, count)
    return (true / wrong).astype(np.float32), np.abs(rng.laplace(0, true)).astype(np.float32), true


def test_a_fitted_map_recovers_the_true_expected_error():
    sigma, error, true = drawn()
    expected = fit_calibration(sigma, error).apply(sigma)
    inner = (true > np.quantile(true, 0.05)) & (true < np.quantile(true, 0.99))
    assert np.abs(expected / true - 1)[inner].mean() < 0.08


def test_intervals_hold_what_they_promise_on_other_pixels():
    calibration = fit_calibration(*drawn(0)[:2])
    sigma, error, _ = drawn(1)
    for level, share in interval_coverage(calibration, sigma, error).items():
        assert share == pytest.approx(level, abs=0.02)


def test_intervals_hold_even_when_errors_are_not_laplace():
    rng = np.random.default_rng(0)
    sigma = rng.gamma(2.0, 0.01, 40_000)
    error = np.abs(rng.normal(0, sigma)) + 0.01 * rng.random(40_000)
    calibration = fit_calibration(sigma[::2], error[::2])
    assert interval_coverage(calibration, sigma[1::2], error[1::2])[0.95] == pytest.approx(0.95, abs=0.02)


def test_factors_of_laplace_errors_are_the_textbook_ones():
    factors = fit_calibration(*drawn(count=200_000)[:2]).factors
    for level in LEVELS:
        assert factors[level] == pytest.approx(laplace_factors()[level], rel=0.08)


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 5)), min_size=1, max_size=30))
def test_isotonic_never_decreases_and_keeps_the_weighted_mean(pairs):
    values, weights = np.array(pairs).T
    fitted = isotonic(values, weights)
    assert (np.diff(fitted) >= -1e-9).all()
    assert np.average(fitted, weights=weights) == pytest.approx(np.average(values, weights=weights), abs=1e-6)
    if (np.diff(values) >= 0).all():
        np.testing.assert_allclose(fitted, values, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20, unique=True))
def test_the_order_of_pixels_never_changes(sigmas):
    calibration = fit_calibration(*drawn(count=2000)[:2])
    assert (np.diff(calibration.apply(np.sort(np.array(sigmas)))) >= 0).all()


def test_the_map_travels_through_a_header():
    calibration = fit_calibration(*drawn(count=2000)[:2])
    assert calibration_from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def test_knots_rise_and_carry_the_map():
    calibration = fit_calibration(*drawn(count=2000)[:2])
    sigma, error = np.array(calibration.knots).T
    assert (np.diff(sigma) > 0).all()
    assert (np.diff(error) >= 0).all()
    assert Calibration(sigma=tuple(sigma), error=tuple(error)).apply(sigma) == pytest.approx(calibration.apply(sigma))


@pytest.mark.parametrize(
    "values",
    [None, 3, {}, {"sigma": [1], "error": []}, {"sigma": [2, 1], "error": [1, 2]}, {"sigma": [1, 2], "error": [2, 1]},
     {"sigma": ["a"], "error": [1]}, {"sigma": [1], "error": [float("nan")]},
     {"sigma": [1], "error": [1], "factors": 5}],
)  # fmt: skip
def test_a_damaged_header_is_refused(values):
    with pytest.raises(CheckpointError, match="calibration is damaged"):
        calibration_from_json(values)


def test_too_few_pixels_are_refused():
    with pytest.raises(ValueError, match="at least 100"):
        fit_calibration(np.ones(10), np.ones(10))


def test_constant_sigma_still_calibrates():
    calibration = fit_calibration(np.full(500, 0.1), np.linspace(0, 0.2, 500))
    assert calibration.apply(np.array([0.1]))[0] == pytest.approx(0.1, rel=0.02)


def test_outside_the_knots_errors_go_in_proportion():
    calibration = Calibration(sigma=(0.01, 0.1), error=(0.02, 0.2))
    expected = [0.0, 0.01, 0.02, 0.2, 0.6]
    np.testing.assert_allclose(calibration.apply(np.array([0.0, 0.005, 0.01, 0.1, 0.3])), expected, rtol=1e-5)


def test_a_header_s_knots_and_factors_make_the_same_calibration_again():
    fitted = fit_calibration(*drawn(count=2000)[:2])
    assert calibration_of(fitted.knots, fitted.named_factors) == fitted
    older = calibration_of(fitted.knots)
    assert older is not None
    assert older.factors == laplace_factors()
    assert calibration_of(()) is None
    with pytest.raises(CheckpointError, match="damaged"):
        calibration_of(((0.2, 0.1), (0.1, 0.2)))
