import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from murace.metrics.scores import measure, score
from murace.vocabulary import MEASURES, Metric

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=40)


def expected(labels: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """scikit-learn's answers, where they are defined."""
    decided, both = (p >= 0.5).astype(int), 0 < labels.sum() < len(labels)
    found = {
        "accuracy": reference.accuracy_score(labels, decided),
        "brier": reference.brier_score_loss(labels, p, pos_label=1) if both else float(np.mean((p - labels) ** 2)),
        "f1": reference.f1_score(labels, decided) if decided.any() or labels.any() else math.nan,
        "precision": reference.precision_score(labels, decided) if decided.any() else math.nan,
        "recall": reference.recall_score(labels, decided) if labels.any() else math.nan,
        "specificity": reference.recall_score(labels, decided, pos_label=0) if not labels.all() else math.nan,
        "npv": reference.precision_score(labels, decided, pos_label=0) if not decided.all() else math.nan,
        "kappa": reference.cohen_kappa_score(labels, decided) if both else math.nan,
        "mcc": reference.matthews_corrcoef(labels, decided) if both and 0 < decided.sum() < len(p) else math.nan,
        "auc": reference.roc_auc_score(labels, p) if both else math.nan,
        "average_precision": reference.average_precision_score(labels, p) if both else math.nan,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        observed, mean = calibration_curve(labels, p, n_bins=10, strategy="quantile") if both else ([0.0], [0.0])
    edges = np.percentile(p, np.linspace(0, 100, 11))
    sizes = np.bincount(np.searchsorted(edges[1:-1], p))
    if both:
        found["ece"] = float(np.abs(observed - mean) @ sizes[sizes > 0] / len(p))
    return found


def agree(labels: np.ndarray, p: np.ndarray) -> None:
    ours = score(labels, p)
    assert tuple(ours) == MEASURES
    for name, value in expected(labels, p).items():
        assert ours[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name


@given(PAIRS)
def test_agrees_with_scikit_learn_or_is_undefined(pairs: list[tuple[int, int]]) -> None:
    agree(np.array([label for label, _ in pairs]), np.array([value / 20 for _, value in pairs]))


@pytest.mark.parametrize("kind", ["perfect", "inverted", "random", "constant", "constant low", "tied", "binary"])
def test_perfect_random_constant_and_tied_predictions(kind: str) -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 300)
    chances = {
        "perfect": labels.astype(float),
        "inverted": 1.0 - labels,
        "random": generator.random(300),
        "constant": np.full(300, 0.5),
        "constant low": np.full(300, 0.2),
        "tied": generator.integers(0, 4, 300) / 3,
        "binary": generator.integers(0, 2, 300).astype(float),
    }[kind]
    agree(labels, chances)


def test_a_half_is_abnormal() -> None:
    assert score(np.array([1, 0]), np.array([0.5, 0.4999999]))[Metric.ACCURACY] == 1.0


def test_undefined_is_nan_and_never_zero() -> None:
    def undefined(labels: list[int], p: list[float]) -> set[str]:
        return {name for name, value in score(np.array(labels, dtype=int), np.array(p)).items() if math.isnan(value)}

    assert undefined([0, 0], [0.1, 0.9]) == {"auc", "recall", "kappa", "mcc", "average_precision"}
    assert undefined([1, 1], [0.1, 0.9]) == {"auc", "specificity", "kappa", "mcc", "average_precision"}
    assert undefined([0, 1], [0.1, 0.2]) == {"precision", "mcc"}
    assert undefined([0, 1], [0.8, 0.9]) == {"npv", "mcc"}
    assert undefined([], []) == set(MEASURES)


def test_weights_count_cases() -> None:
    generator = np.random.default_rng(2)
    labels, p = generator.integers(0, 2, 30), generator.integers(0, 9, (30, 2)) / 8
    weights = generator.integers(0, 4, (5, 30)).astype(float)
    found = measure(labels, p, weights)
    for row, counts in enumerate(weights.astype(int)):
        for model in range(2):
            again = score(np.repeat(labels, counts), np.repeat(p[:, model], counts))
            for name in set(MEASURES) - {"ece"}:  # its bins stay those of all cases
                assert found[name][row, model] == pytest.approx(again[name], nan_ok=True), name


def test_the_bins_of_ece_do_not_move_with_the_weights() -> None:
    labels, p = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.8, 0.9])
    (ece,) = measure(labels, p[:, None], np.array([[3.0, 0.0, 1.0, 1.0]]))["ece"][:, 0]
    assert ece == pytest.approx((3 * 0.1 + 0.8 + 0.1) / 5)


def test_one_set_of_weights_gives_the_same_bits_alone_and_among_others() -> None:
    generator = np.random.default_rng(3)
    labels, p = generator.integers(0, 2, 200), generator.random((200, 3))
    weights = generator.integers(0, 5, (64, 200)).astype(float)
    together, alone = measure(labels, p, weights), measure(labels, p, weights[:1])
    for name in set(MEASURES) - {"brier", "ece", "average_precision"}:
        assert np.array_equal(together[name][:1], alone[name], equal_nan=True), name


def test_a_probability_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        score(np.array([0, 1]), np.array([0.1, math.nan]))
