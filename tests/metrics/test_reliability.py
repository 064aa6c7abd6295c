"""The reliability diagram has scikit-learn's points, and Wilson's intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from murace.metrics.reliability import BINS, COLUMNS, bins_of, reliability_curve, wilson


def made_up(n: int, decimals: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities = generator.random(n).round(decimals)
    return (generator.random(n) < probabilities).astype(np.int64), probabilities


@pytest.mark.parametrize("decimals", [12, 2, 1, 0])
@pytest.mark.parametrize("n", [1, 7, 10, 333])
def test_points_are_those_of_scikit_learn_with_and_without_ties(n: int, decimals: int) -> None:
    labels, probabilities = made_up(n, decimals)
    curve = reliability_curve(labels, probabilities)
    observed, mean = calibration_curve(labels, probabilities, strategy="quantile", n_bins=BINS)
    np.testing.assert_allclose(curve["observed"], observed, rtol=1e-12)
    np.testing.assert_allclose(curve["mean"], mean, rtol=1e-12)


def test_bins_have_equal_mass_without_ties() -> None:
    _, probabilities = made_up(1000, 15)
    assert np.bincount(bins_of(probabilities)).tolist() == [100] * 10


@given(st.lists(st.sampled_from([0.0, 0.1, 0.1 + 1e-16, 0.3, 0.5, 0.7, 1.0]), min_size=1, max_size=60))
def test_equal_probabilities_share_a_bin_and_bins_keep_the_order(values: list[float]) -> None:
    probabilities = np.array(values)
    place = bins_of(probabilities)
    assert ((place >= 0) & (place < BINS)).all()
    assert (np.diff(place[np.argsort(probabilities, kind="stable")]) >= 0).all()
    assert all(len(set(place[probabilities == value].tolist())) == 1 for value in values)


def test_an_empty_bin_is_absent_and_no_case_is_lost() -> None:
    labels, probabilities = made_up(500, 0)
    curve = reliability_curve(labels, probabilities)
    assert list(curve.columns) == COLUMNS
    assert len(curve) < BINS
    assert curve["cases"].gt(0).all()
    assert curve["cases"].sum() == 500


def test_no_case_gives_an_empty_curve_with_its_columns() -> None:
    curve = reliability_curve(np.empty(0, dtype=np.int64), np.empty(0))
    assert list(curve.columns) == COLUMNS
    assert curve.empty


def test_one_class_is_described_not_refused() -> None:
    curve = reliability_curve(np.zeros(40, dtype=np.int64), np.linspace(0, 1, 40))
    assert curve["observed"].eq(0).all()
    assert curve["low"].eq(0).all()
    assert curve["high"].between(0.01, 0.7).all()


@pytest.mark.parametrize("bad", [float("nan"), -0.01, 1.01])
def test_what_is_not_a_probability_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        bins_of(np.array([0.5, bad]))


def test_wilson_has_the_published_values() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, Table I, method 3."""
    low, high = wilson(np.array([81.0, 15.0, 0.0, 1.0]), np.array([263.0, 148.0, 20.0, 29.0]))
    np.testing.assert_allclose(low, [0.2553, 0.0624, 0.0000, 0.0061], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)
    assert wilson(np.array([5.0]), np.array([5.0]))[1][0] == 1.0
