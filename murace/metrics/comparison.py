"""Whether one model is better than another on the same cases: a test and an interval for every difference."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from murace.metrics.paired import bootstrap_p, delong, holm, mcnemar
from murace.metrics.resampling import Estimate, interval
from murace.metrics.scores import NAN, THRESHOLD
from murace.vocabulary import CALIBRATED, OVERALL

FOUND = ["difference", "low", "high", "p", "p_holm", "undefined"]
COLUMNS = ["level", "group", "model", "reference", "metric", "test", *FOUND]
FAMILY = ["level", "model", "reference", "metric"]


def pairs_of(models: Sequence[str]) -> list[tuple[str, str]]:
    """The (model, reference) to compare: the calibrated ensemble with every other (paper, Table 3), else all pairs."""
    if CALIBRATED in models:
        return [(CALIBRATED, model) for model in models if model != CALIBRATED]
    return [(later, earlier) for earlier, later in combinations(models, 2)]


def comparison_table(
    estimates: Mapping[tuple[str, str], Estimate], models: Sequence[str], groups: Sequence[str]
) -> pd.DataFrame:
    """Test AUC (DeLong), accuracy (McNemar, exact) and kappa (paired bootstrap) of every pair of models.

    The intervals of all three differences are paired bootstrap intervals over patients. `p_holm` is adjusted over the
    groups of one level, pair and metric (Holm 1979); it is undefined for `overall`, which is tested by itself.

    Args:
        estimates: (level, group) -> what was measured there, `overall` among the groups.
        models: the columns of the estimates, in order.
        groups: the groups, without `overall`.
    """
    rows = [
        (level, group, model, reference, metric, test, difference, low, high, p, NAN, undefined)
        for (level, group), estimate in estimates.items()
        for model, reference in pairs_of(models)
        for metric, test, p in _tests(estimate, models.index(model), models.index(reference))
        for difference, low, high, undefined in [
            _bounded(estimate, metric, models.index(model), models.index(reference))
        ]
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    adjusted = frame[frame["group"].isin(list(groups)) & (frame["group"] != OVERALL)]
    for _, family in adjusted.groupby(FAMILY, sort=False):
        frame.loc[family.index, "p_holm"] = holm(family["p"].to_numpy(dtype=float))
    return frame


def _tests(estimate: Estimate, model: int, reference: int) -> Iterator[tuple[str, str, float]]:
    """Metric, test and p; undefined for a single patient, whose cases are no sample."""
    labels, chances, drawn = estimate.labels, estimate.probabilities, estimate.resampled["kappa"]
    right = (chances >= THRESHOLD) == (labels == 1)[:, None]
    known = len(drawn) > 0
    yield "auc", "delong", delong(labels, chances[:, model], chances[:, reference]).p if known else NAN
    yield "accuracy", "mcnemar", mcnemar(right[:, model], right[:, reference]).p if known else NAN
    yield "kappa", "bootstrap", bootstrap_p(drawn[:, model] - drawn[:, reference])


def _bounded(estimate: Estimate, metric: str, model: int, reference: int) -> tuple[float, float, float, int]:
    """The difference, its paired bootstrap interval, and the resamples in which it was undefined."""
    drawn, value = estimate.resampled[metric], estimate.value[metric]
    low, high, undefined = interval((drawn[:, model] - drawn[:, reference])[:, None])
    return float(value[model] - value[reference]), float(low[0]), float(high[0]), int(undefined[0])
