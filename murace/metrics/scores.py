"""AUC, accuracy, precision, recall, kappa and the other metrics, at the threshold 0.5; NaN where one is undefined.

Shapes: N cases, M models, R sets of weights (how often each case counts: ones for the data as they are, a bootstrap's
draws for its resamples). Counts are sums of whole numbers: what rests on them has the same bits for any R.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.metrics.reliability import BINS, bins_of
from murace.vocabulary import MEASURES

THRESHOLD = 0.5
NAN = float("nan")
Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]  # [R, M]


def score(labels: Labels, probabilities: Probabilities) -> dict[str, float]:
    """All measures of one model's probabilities [N] against labels 0/1 [N].

    Raises:
        ValueError: a probability is not finite.
    """
    values = measure(labels, probabilities[:, None], np.ones((1, len(labels))))
    return {name: float(value[0, 0]) for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class Ranking:
    """What stays whatever the weights: a model's order of cases, where a new value begins in it, the cases' bins."""

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    bins: npt.NDArray[np.int64]


def rank(probabilities: Probabilities) -> list[Ranking]:
    """Rank each model's probabilities [N, M]."""
    rankings = []
    for column in probabilities.T:
        order = np.argsort(column, kind="stable")
        rankings.append(Ranking(order, np.flatnonzero(np.diff(column[order], prepend=-np.inf)), bins_of(column)))
    return rankings


def measure(
    labels: Labels, probabilities: Probabilities, weights: Weights, rankings: Sequence[Ranking] = ()
) -> dict[str, Values]:
    """All measures for every set of weights.

    The paper's five ("Evaluation metrics") and, of the same 2x2 table, specificity, negative predictive value, F1 and
    Matthews' correlation; the area under the ROC curve and average precision of the ranking; Brier's score (1950) and
    the expected calibration error over ten bins of equal mass, whose edges stay those of the cases as they are.

    Args:
        labels: 0 or 1, [N].
        probabilities: of the abnormal, [N, M].
        weights: whole numbers, [R, N].
        rankings: of the probabilities, where they are known already.

    Returns:
        A name of `MEASURES` -> [R, M].

    Raises:
        ValueError: a probability is not finite.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not a finite number")
    if not len(labels):
        return {name: np.full((len(weights), probabilities.shape[1]), NAN) for name in MEASURES}
    found = _of_decisions(counts(labels, probabilities, weights))
    rankings = rankings or rank(probabilities)
    pairs = list(zip(probabilities.T, rankings, strict=True))
    found["brier"] = np.stack([brier(labels, column, weights) for column, _ in pairs], axis=1)
    errors = [calibration_error(labels, column, weights, known.bins) for column, known in pairs]
    found["ece"] = np.stack(errors, axis=1)
    areas = [_of_ranking(labels, known, weights) for known in rankings]
    found["auc"], found["average_precision"] = (np.stack(values, axis=1) for values in zip(*areas, strict=True))
    return {name: found[name] for name in MEASURES}


def brier(labels: Labels, probabilities: Probabilities, weights: Weights) -> Values:
    """Brier's score of one model [N] for every set of weights, [R]: the mean squared distance from the label."""
    return ratio(weights @ (probabilities - labels) ** 2, weights.sum(axis=1))


def calibration_error(
    labels: Labels, probabilities: Probabilities, weights: Weights, bins: npt.NDArray[np.int64] | None = None
) -> Values:
    """Expected calibration error of one model [N] for every set of weights, [R], over bins of equal mass."""
    spread = np.zeros((len(labels), BINS))
    spread[np.arange(len(labels)), bins_of(probabilities) if bins is None else bins] = probabilities - labels
    return ratio(np.abs(weights @ spread).sum(axis=1), weights.sum(axis=1))


def counts(labels: Labels, probabilities: Probabilities, weights: Weights) -> tuple[Values, Values, Values, Values]:
    """Weighted true and false positives, false and true negatives, each [R, M]; abnormal is p >= 0.5."""
    decided = probabilities >= THRESHOLD
    truth = (labels == 1)[:, None]
    abnormal = weights @ truth.astype(np.float64)
    normal = weights.sum(axis=1, keepdims=True) - abnormal
    hits, alarms = (weights @ (decided & side).astype(np.float64) for side in (truth, ~truth))
    return hits, alarms, abnormal - hits, normal - alarms


def ratio(part: Values, whole: Values) -> Values:
    """`part / whole`; NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    divided: Values = np.divide(part, whole, out=np.full(part.shape, NAN), where=whole != 0)
    return divided


def _of_decisions(table: tuple[Values, Values, Values, Values]) -> dict[str, Values]:
    hits, alarms, misses, rejections = table
    abnormal, normal, positive, negative = hits + misses, alarms + rejections, hits + alarms, misses + rejections
    total = abnormal + normal
    chance = ratio(abnormal * positive + normal * negative, total**2)
    agreement = ratio(hits + rejections, total)
    has_both = (abnormal > 0) & (normal > 0)
    return {
        "accuracy": agreement,
        "precision": ratio(hits, positive),
        "recall": ratio(hits, abnormal),
        "kappa": ratio(agreement - chance, np.where(has_both, 1 - chance, 0)),
        "specificity": ratio(rejections, normal),
        "npv": ratio(rejections, negative),
        "f1": ratio(2 * hits, 2 * hits + alarms + misses),
        "mcc": ratio(hits * rejections - alarms * misses, np.sqrt(abnormal * normal * positive * negative)),
    }


def _of_ranking(labels: Labels, ranking: Ranking, weights: Weights) -> tuple[Values, Values]:
    """Area under the ROC curve (ties count half) and average precision of one model, each [R].

    Average precision is the sum over distinct thresholds of precision times the recall gained there.
    """
    ranked = weights[:, ranking.order]
    abnormal = _by_value(ranked * labels[ranking.order], ranking.starts)
    everyone = _by_value(ranked, ranking.starts)
    normal = everyone - abnormal
    below, below_abnormal = np.cumsum(normal, axis=1), np.cumsum(abnormal, axis=1)
    positives, negatives = below_abnormal[:, -1:], below[:, -1:]
    wins = np.einsum("rk,rk->r", abnormal, below - normal / 2)
    area = ratio(wins, (positives * negatives)[:, 0])
    true = positives - below_abnormal + abnormal  # decided abnormal from this value on
    precision = ratio(true, true + negatives - below + normal)
    gained = np.einsum("rk,rk->r", abnormal, np.where(abnormal > 0, precision, 0))
    return area, ratio(gained, np.where(negatives > 0, positives, 0)[:, 0])


def _by_value(ranked: Values, starts: npt.NDArray[np.intp]) -> Values:
    """Weights summed over equal probabilities."""
    if len(starts) == ranked.shape[1]:
        return ranked
    summed: Values = np.add.reduceat(ranked, starts, axis=1)
    return summed
