"""Operating points keep what their names promise on the cases they were chosen on."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from murace.metrics.threshold import POINTS, operating_points

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60)
BOTH = PAIRS.filter(lambda pairs: len({label for label, _ in pairs}) == 2)


def arrays(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    labels, values = zip(*pairs, strict=True)
    return np.array(labels), np.array(values) / 20


def sensitivity(labels: np.ndarray, probabilities: np.ndarray, threshold: float) -> Fraction:
    return Fraction(int(((probabilities >= threshold) & (labels == 1)).sum()), int((labels == 1).sum()))


@given(BOTH)
def test_sensitivity_is_reached_and_by_no_larger_threshold(pairs: list[tuple[int, int]]) -> None:
    labels, probabilities = arrays(pairs)
    points = operating_points(labels, probabilities)
    for name, wanted in (("sensitivity_90", Fraction(9, 10)), ("sensitivity_95", Fraction(19, 20))):
        assert points[name] in probabilities
        assert sensitivity(labels, probabilities, points[name]) >= wanted
        larger = probabilities[probabilities > points[name]]
        assert all(sensitivity(labels, probabilities, float(other)) < wanted for other in larger)


@given(BOTH)
def test_youden_is_the_first_best_point_of_scikit_learns_curve(pairs: list[tuple[int, int]]) -> None:
    labels, probabilities = arrays(pairs)
    false_rate, true_rate, thresholds = roc_curve(labels, probabilities, drop_intermediate=False)
    index = true_rate[1:] - false_rate[1:]  # the first point is no case's probability
    best = thresholds[1:][index >= index.max() - 1e-12].max()
    assert operating_points(labels, probabilities)["youden"] == best


def test_18_of_20_is_ninety_per_cent_and_19_of_20_ninety_five() -> None:
    labels = np.array([1] * 20 + [0])
    probabilities = np.append(np.arange(20, 0, -1) / 20, 0.01)
    points = operating_points(labels, probabilities)
    assert points["sensitivity_90"] == 3 / 20
    assert points["sensitivity_95"] == 2 / 20


def test_of_equal_points_the_larger_threshold_is_youdens() -> None:
    # At 0.8: 1 of 2 found, no alarm. At 0.4: 2 of 2 found, 1 alarm of 2. Both have the index 0.5.
    assert operating_points(np.array([1, 0, 1, 0]), np.array([0.8, 0.6, 0.4, 0.2]))["youden"] == 0.8


@pytest.mark.parametrize("labels", [[], [0, 0], [1]])
def test_one_class_leaves_only_a_half(labels: list[int]) -> None:
    points = operating_points(np.array(labels, dtype=np.int64), np.full(len(labels), 0.3))
    assert tuple(points) == POINTS == ("half", "youden", "sensitivity_90", "sensitivity_95")
    assert points["half"] == 0.5
    assert all(math.isnan(points[name]) for name in POINTS[1:])


def test_what_is_not_a_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        operating_points(np.array([0, 1]), np.array([0.1, math.nan]))
