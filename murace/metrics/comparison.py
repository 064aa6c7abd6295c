"""Comparison of two models on the same cases: the difference of a metric, its confidence interval and p-value."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from murace.metrics.paired import bootstrap_p, delong, holm, mcnemar
from murace.metrics.resampling import Estimate, interval
from murace.metrics.scores import NAN, THRESHOLD
from murace.vocabulary import CALIBRATED, OVERALL

FOUND = ["difference", "low", "high", "p", "p_holm", "undefined"]
COLUMNS = ["level", "group", "model", "reference", "metric", "test", *FOUND]
SIGNIFICANT = 0.05
FAMILY = ["level", "model", "reference", "metric"]


def pairs_of(models: Sequence[str]) -> list[tuple[str, str]]:
    """The (model, reference) to compare: the calibrated ensemble with every other (paper, Table 3), else all pairs."""
    if CALIBRATED in models:
        return [(CALIBRATED, model) for model in models if model != CALIBRATED]
    return [(later, earlier) for earlier, later in combinations(models, 2)]


def comparison_table(
    estimates: Mapping[tuple[str, str], Estimate],
    models: Sequence[str],
    groups: Sequence[str],
    baselines: Sequence[str] = (),
) -> pd.DataFrame:
    """Test AUC (DeLong), accuracy (McNemar, exact) and kappa (paired bootstrap) of pairs of models.

    The pairs are those of `pairs_of`, and each model with each baseline.

    The intervals of all three differences are paired bootstrap intervals over patients. `p_holm` is adjusted over the
    groups of one level, pair and metric (Holm 1979); it is undefined for `overall`, which is tested by itself.

    Args:
        estimates: (level, group) -> what was measured there, `overall` among the groups.
        models: the first columns of the estimates, in order.
        groups: the groups, without `overall`.
        baselines: the other columns, in order.
    """
    columns = [*models, *baselines]
    pairs = pairs_of(models) + [(model, baseline) for model in models for baseline in baselines]
    rows = [
        (level, group, model, reference, metric, test, difference, low, high, p, NAN, undefined)
        for (level, group), estimate in estimates.items()
        for model, reference in pairs
        for metric, test, p in _tests(estimate, columns.index(model), columns.index(reference))
        for difference, low, high, undefined in [
            _bounded(estimate, metric, columns.index(model), columns.index(reference))
        ]
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    adjusted = frame[frame["group"].isin(list(groups)) & (frame["group"] != OVERALL)]
    for _, family in adjusted.groupby(FAMILY, sort=False):
        frame.loc[family.index, "p_holm"] = holm(family["p"].to_numpy(dtype=float))
    return frame


def is_real(difference: Mapping[Any, Any]) -> bool:
    """Whether a row of the table is more than chance: p under 0.05 (Holm's, of a group) and an interval without 0.

    DeLong and McNemar take cases as independent and are too sure where patients have several; the interval is not.
    """
    p = difference["p"] if difference["group"] == OVERALL else difference["p_holm"]
    return bool(p < SIGNIFICANT and (difference["low"] > 0 or difference["high"] < 0))


def _tests(estimate: Estimate, model: int, reference: int) -> Iterator[tuple[str, str, float]]:
    """Metric, test and p; no p where no resample has a difference: the cases of a single patient are no sample."""
    labels, chances = estimate.labels, estimate.probabilities
    right = (chances >= THRESHOLD) == (labels == 1)[:, None]
    drawn = {name: values[:, model] - values[:, reference] for name, values in estimate.resampled.items()}
    ranked = delong(labels, chances[:, model], chances[:, reference])
    decided = mcnemar(right[:, model], right[:, reference])
    yield "auc", "delong", NAN if np.isnan(drawn["auc"]).all() else ranked
    yield "accuracy", "mcnemar", NAN if np.isnan(drawn["accuracy"]).all() else decided
    yield "kappa", "bootstrap", bootstrap_p(drawn["kappa"])


def _bounded(estimate: Estimate, metric: str, model: int, reference: int) -> tuple[float, float, float, int]:
    """The difference, its paired bootstrap interval, and the resamples in which it was undefined."""
    drawn, value = estimate.resampled[metric], estimate.value[metric]
    low, high, undefined = interval((drawn[:, model] - drawn[:, reference])[:, None])
    return float(value[model] - value[reference]), float(low[0]), float(high[0]), int(undefined[0])
