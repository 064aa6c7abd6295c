"""Slope and intercept are an unpenalised logistic regression's in every resample, and NaN where there is none."""

import time
import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from murace.metrics.recalibration import intercept, slope
from murace.metrics.temperature import log_odds

pytestmark = pytest.mark.kernels


def cases(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities whose log odds are twice too large and 0.6 too high."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(0, 1.5, n)
    labels = (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-2 * odds - 0.6))


def draws(n: int, resamples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def mean_excess(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """What the intercept makes zero: expected minus observed share of abnormal cases, in each resample."""
    expected = 1 / (1 + np.exp(-log_odds(probabilities) - shift[:, None]))
    return (weights * (expected - labels)).sum(axis=1) / weights.sum(axis=1)


@pytest.mark.parametrize("n", [40, 1200])
def test_slope_is_scikit_learns_in_the_sample_and_in_resamples(n: int) -> None:
    labels, probabilities = cases(n)
    weights = np.concatenate([np.ones((1, n)), draws(n, 5)])
    for row, ours in zip(weights, slope(labels, probabilities, weights), strict=True):
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        model.fit(log_odds(probabilities)[:, None], labels, sample_weight=row)
        assert ours == pytest.approx(model.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize("n", [40, 1200])
def test_intercept_makes_the_expected_share_the_observed_one(n: int) -> None:
    labels, probabilities = cases(n)
    weights = np.concatenate([np.ones((1, n)), draws(n, 5)])
    shift = intercept(labels, probabilities, weights)
    np.testing.assert_allclose(mean_excess(labels, probabilities, weights, shift), 0, atol=1e-10)


def test_intercept_is_scikit_learns_where_the_offset_is_constant() -> None:
    labels, _ = cases(300)
    weights = np.concatenate([np.ones((1, 300)), draws(300, 3)])
    shift = intercept(labels, np.full(300, 0.8), weights)
    for row, ours in zip(weights, shift, strict=True):
        # A column of zeros leaves scikit-learn the intercept alone.
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(np.zeros((300, 1)), labels, row)
        assert ours == pytest.approx(model.intercept_[0] - np.log(4), abs=1e-5)


def test_a_well_calibrated_forecaster_has_slope_1_and_intercept_0() -> None:
    generator = np.random.default_rng(5)
    probabilities = generator.random(100_000)
    labels = (generator.random(100_000) < probabilities).astype(np.int64)
    one = np.ones((1, 100_000))
    assert slope(labels, probabilities, one)[0] == pytest.approx(1, abs=0.02)
    assert intercept(labels, probabilities, one)[0] == pytest.approx(0, abs=0.02)


def test_a_count_is_so_many_copies() -> None:
    labels, probabilities = cases(60)
    weights = draws(60, 4)
    for row, b, a in zip(
        weights, slope(labels, probabilities, weights), intercept(labels, probabilities, weights), strict=True
    ):
        picked = np.repeat(np.arange(60), row.astype(int))
        one = np.ones((1, len(picked)))
        assert slope(labels[picked], probabilities[picked], one)[0] == pytest.approx(b, rel=1e-8)
        assert intercept(labels[picked], probabilities[picked], one)[0] == pytest.approx(a, abs=1e-8)


def test_undefined_is_nan_in_its_resample_only() -> None:
    labels = np.array([0, 0, 1, 0, 1, 1])
    probabilities = np.array([0.1, 0.3, 0.2, 0.6, 0.5, 0.9])
    weights = np.array(
        [
            [1, 1, 1, 1, 1, 1],  # overlapping
            [1, 2, 0, 3, 0, 0],  # normal only
            [0, 0, 1, 0, 2, 0],  # abnormal only
            [2, 1, 0, 0, 1, 2],  # separated
            [0, 2, 2, 0, 0, 0],  # separated, and the wrong way round
            [0, 0, 0, 0, 0, 0],  # nothing drawn
            [1, 1, 2, 0, 1, 1],  # overlapping
        ],
        dtype=np.float64,
    )
    assert np.isnan(slope(labels, probabilities, weights)).tolist() == [False, True, True, True, True, True, False]
    assert np.isnan(intercept(labels, probabilities, weights)).tolist() == [
        False,
        True,
        True,
        False,
        False,
        True,
        False,
    ]


def test_equal_or_touching_probabilities_have_no_slope() -> None:
    labels = np.array([0, 1, 0, 1])
    one = np.ones((1, 4))
    assert np.isnan(slope(labels, np.full(4, 0.3), one)).all()
    assert np.isnan(slope(labels, np.array([0.2, 0.4, 0.4, 0.8]), one)).all()
    assert intercept(labels, np.full(4, 0.3), one)[0] == pytest.approx(np.log(0.7 / 0.3), abs=1e-9)


def test_no_case_and_no_resample_are_no_error() -> None:
    nothing = np.empty(0, dtype=np.int64)
    assert np.isnan(slope(nothing, np.empty(0), np.ones((2, 0)))).tolist() == [True, True]
    assert np.isnan(intercept(nothing, np.empty(0), np.ones((2, 0)))).tolist() == [True, True]
    assert slope(np.array([0, 1]), np.array([0.2, 0.8]), np.ones((0, 2))).shape == (0,)


def test_certain_and_wrong_cases_are_solved_too() -> None:
    # Log odds at the two ends only: the likelihood is nearly flat, and a bare Newton step overshoots.
    labels = np.array([0] * 30 + [1] * 30)
    probabilities = np.array([0.0] * 20 + [1.0] * 10 + [0.0] * 3 + [1.0] * 27)
    weights = np.concatenate([np.ones((1, 60)), draws(60, 200)])
    shift = intercept(labels, probabilities, weights)
    np.testing.assert_allclose(mean_excess(labels, probabilities, weights, shift), 0, atol=1e-9)
    # Two points: the line through the two observed log odds.
    line = (np.log(27 / 10) - np.log(3 / 20)) / (2 * log_odds(np.array([1.0]))[0])
    fitted = slope(labels, probabilities, weights)
    assert fitted[0] == pytest.approx(line, rel=1e-8)
    nowhere = [(row[:20].sum() * row[20:30].sum() * row[30:33].sum() * row[33:].sum()) == 0 for row in weights]
    assert np.isnan(fitted).tolist() == nowhere


def test_an_overshooting_step_is_taken_back() -> None:
    # Bare Newton steps from 0 jump to and fro here for ever.
    labels, probabilities = np.array([0, 1, 1]), np.array([0.1, 0.1, 0.9999])
    one = np.ones((1, 3))
    shift = intercept(labels, probabilities, one)
    np.testing.assert_allclose(mean_excess(labels, probabilities, one, shift), 0, atol=1e-12)
    labels, probabilities = np.array([1, 1, 0, 0]), np.array([0.99, 0.1, 0.5, 0.0])
    assert np.isfinite(slope(labels, probabilities, np.array([[0.0, 3, 3, 1]]))).all()


def test_two_thousand_resamples_need_little_time_and_memory() -> None:
    labels, probabilities = cases(1200)
    weights = draws(1200, 2000)
    for measure in (slope, intercept):
        started = time.process_time()
        assert np.isfinite(measure(labels, probabilities, weights)).all()
        assert time.process_time() - started < 2
        tracemalloc.start()
        measure(labels, probabilities, weights[:300])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 30e6
