"""A temperature is the likeliest one, leans on its prior where data are few, and moves no decision."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from murace.metrics.temperature import MARGIN, apply_temperature, fit_by_group, fit_temperature, log_odds

pytestmark = pytest.mark.kernels
HALF = 0.5
BELOW_HALF = float(np.nextafter(0.5, 0))
EDGES = [0.0, 5e-324, 1e-9, MARGIN, BELOW_HALF, HALF, float(np.nextafter(0.5, 1)), 1 - MARGIN, 1 - 1e-9, 1.0]
PROBABILITY = st.one_of(st.sampled_from(EDGES), st.floats(0, 1))


def cases(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and the probabilities of someone who is over-confident by `temperature`."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(0, 2, n)
    labels = (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-odds * temperature))


@pytest.mark.parametrize(("n", "truth"), [(30, 0.5), (300, 1.0), (300, 2.5), (3000, 4.0)])
def test_without_a_prior_it_is_scikit_learns_logistic_regression(n: int, truth: float) -> None:
    labels, probabilities = cases(n, truth)
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    model.fit(log_odds(probabilities)[:, None], labels)
    assert 1 / fit_temperature(labels, probabilities, spread=1e6) == pytest.approx(model.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize("truth", [0.6, 1.0, 3.0])
def test_the_temperature_of_simulated_cases_is_found(truth: float) -> None:
    assert fit_temperature(*cases(20_000, truth)) == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(("margin", "spread"), [(0.0005, 0.3), (0.001, 0.3), (0.0025, 0.4)])
def test_of_two_minima_the_lower_is_found(margin: float, spread: float) -> None:
    # Timid but perfectly separated cases under a narrow prior: a minimum near 1, and one far below.
    labels = np.arange(400) % 2
    right = log_odds(np.full(400, 0.5 + margin))
    shifts = np.linspace(-9, 9, 20_001)
    cost = [np.logaddexp(0, -right * np.exp(-u)).sum() + u**2 / (2 * spread**2) for u in shifts]
    assert (np.diff(np.sign(np.diff(cost))) > 0).sum() == 2
    found = fit_temperature(labels, np.where(labels == 1, 0.5 + margin, 0.5 - margin), spread=spread)
    assert math.log(found) == pytest.approx(shifts[int(np.argmin(cost))], abs=1e-3)


def test_perfect_separation_stays_finite() -> None:
    labels = np.arange(800) % 2
    sure = fit_temperature(labels, np.where(labels == 1, 0.9, 0.1))
    assert sure == pytest.approx(0.2578, abs=5e-4)
    assert 0.99 < fit_temperature(labels, labels.astype(np.float64)) <= 1.0
    assert 1 < fit_temperature(labels, 1.0 - labels) < math.inf


@pytest.mark.parametrize("labels", [[], [0, 0, 0], [1]])
def test_one_class_or_no_case_gives_the_centre(labels: list[int]) -> None:
    assert fit_temperature(np.array(labels, dtype=np.int64), np.full(len(labels), 0.7), centre=1.7) == 1.7


def test_a_small_group_leans_on_all_and_a_large_one_stands_alone() -> None:
    large, small = cases(2000, 3.0), cases(8, 0.5, seed=3)
    labels, probabilities = (np.concatenate(pair) for pair in zip(large, small, strict=True))
    groups = np.array(["wrist"] * 2000 + ["elbow"] * 8)
    overall, by_group = fit_by_group(labels, probabilities, groups)
    assert list(by_group) == ["elbow", "wrist"]
    alone = {"wrist": fit_temperature(*large, spread=1e6), "elbow": fit_temperature(*small, spread=1e6)}
    assert by_group["wrist"] == pytest.approx(alone["wrist"], rel=0.01)
    assert alone["elbow"] < 0.7 * overall
    assert by_group["elbow"] == pytest.approx(overall, rel=0.15)
    assert min(alone["elbow"], overall) < by_group["elbow"] < overall


def test_a_group_of_one_class_takes_the_overall_temperature() -> None:
    labels, probabilities = cases(200, 2.0)
    groups = np.where(labels == 1, "hand", "humerus")
    overall, by_group = fit_by_group(labels, probabilities, groups)
    assert by_group == {"hand": overall, "humerus": overall}


@settings(deadline=None)
@given(st.lists(PROBABILITY, min_size=1, max_size=30), st.floats(1e-4, 1e4))
@example(EDGES, 1e4)
@example(EDGES, 1e-4)
@example(EDGES, 1.0)
def test_no_decision_moves_and_no_order_is_reversed(values: list[float], temperature: float) -> None:
    before = np.array(values)
    after = apply_temperature(before, temperature)
    assert ((after >= 0) & (after <= 1)).all()
    np.testing.assert_array_equal(after >= 0.5, before >= 0.5)
    rising = after[np.argsort(before, kind="stable")]
    assert (np.diff(rising) >= 0).all()
    assert all(len(set(after[before == value].tolist())) == 1 for value in values)


@pytest.mark.parametrize("start", [1e-6, 0.01, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0, 7.7])
def test_the_order_of_neighbouring_numbers_survives_rounding(start: float, temperature: float) -> None:
    neighbours = (np.full(2000, start).view(np.int64) + np.arange(2000)).view(np.float64)
    assert (np.diff(apply_temperature(neighbours, temperature)) >= 0).all()


def test_scaling_is_the_formula_and_keeps_the_shape() -> None:
    p = np.array([[0.1, 0.2, 0.5], [0.9, 0.99, 0.6]])
    np.testing.assert_allclose(apply_temperature(p, 2.0), 1 / (1 + np.exp(-np.log(p / (1 - p)) / 2)), rtol=1e-14)
    np.testing.assert_allclose(apply_temperature(p, 1.0), p, rtol=1e-14)
    assert apply_temperature(np.empty((0, 3)), 2.0).shape == (0, 3)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        apply_temperature(np.array([0.2, math.nan]), 1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_temperature(np.array([0, 1]), np.array([0.2, 1.2]))
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            apply_temperature(np.array([0.2]), bad)
        with pytest.raises(ValueError, match="above 0"):
            fit_temperature(np.array([0, 1]), np.array([0.2, 0.8]), centre=bad)
