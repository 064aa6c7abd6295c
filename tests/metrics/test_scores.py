import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from murace.metrics.scores import score
from murace.vocabulary import Metric

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=40)


@given(PAIRS)
def test_agrees_with_scikit_learn_wherever_both_are_defined(pairs: list[tuple[int, int]]) -> None:
    labels = np.array([label for label, _ in pairs])
    p = np.array([value / 20 for _, value in pairs])
    ours, decided = score(labels, p), (p >= 0.5).astype(int)
    assert ours[Metric.ACCURACY] == pytest.approx(reference.accuracy_score(labels, decided))
    if decided.any():
        assert ours[Metric.PRECISION] == pytest.approx(reference.precision_score(labels, decided, zero_division=0))
    if labels.any():
        assert ours[Metric.RECALL] == pytest.approx(reference.recall_score(labels, decided, zero_division=0))
    if 0 < labels.sum() < len(labels):
        assert ours[Metric.KAPPA] == pytest.approx(reference.cohen_kappa_score(labels, decided))
        assert ours[Metric.AUC] == pytest.approx(reference.roc_auc_score(labels, p))


def test_a_half_is_abnormal() -> None:
    assert score(np.array([1, 0]), np.array([0.5, 0.4999999]))[Metric.ACCURACY] == 1.0


def test_undefined_is_nan_and_never_zero() -> None:
    normal_only = score(np.array([0, 0]), np.array([0.1, 0.9]))
    assert {name for name, value in normal_only.items() if math.isnan(value)} == {
        Metric.AUC,
        Metric.RECALL,
        Metric.KAPPA,
    }
    assert math.isnan(score(np.array([0, 1]), np.array([0.1, 0.2]))[Metric.PRECISION])
    assert all(math.isnan(value) for value in score(np.array([], dtype=int), np.array([])).values())


def test_a_probability_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        score(np.array([0, 1]), np.array([0.1, math.nan]))
