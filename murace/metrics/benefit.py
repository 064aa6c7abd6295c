"""Decision curve analysis: the net benefit of a model against treating all or no cases as abnormal.

Vickers & Elkin, Decision curve analysis: a novel method for evaluating prediction models, Medical Decision Making 26,
2006. A threshold t says that missing an abnormal case weighs as much as (1 - t) / t false alarms.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

ALL = "all"
NONE = "none"
COLUMNS = ["model", "threshold", "net_benefit"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Divided, not summed: each is the double closest to its two decimals, so that a p of 0.07 reaches 0.07.
THRESHOLDS: Floats = np.arange(1, 100) / 100


def net_benefit(labels: Integers, probabilities: Floats, models: Sequence[str]) -> pd.DataFrame:
    """Work out TP/N - FP/N * t / (1 - t) at each t of `THRESHOLDS`, T of them, with abnormal decided at p >= t.

    Args:
        labels: 0 or 1, [N].
        probabilities: a column per model, [N, M].
        models: the names of the columns, M.

    Returns:
        `model`, `threshold`, `net_benefit` (per case, at most the share of abnormal cases): T rows for each model, in
        their order, then for `all` (every case decided abnormal) and `none` (0). NaN, except for `none`, where there
        is no case.

    Raises:
        ValueError: a model is named `all` or `none`, the names do not match the columns, or a probability is not
            between 0 and 1.
    """
    if {ALL, NONE} & set(models):
        raise ValueError(f"a model may not be named '{ALL}' or '{NONE}': a decision curve has rows of these names")
    if probabilities.ndim != 2 or probabilities.shape[1] != len(models):
        raise ValueError(f"probabilities of shape {probabilities.shape} for {len(models)} models")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not between 0 and 1")
    odds = THRESHOLDS / (1 - THRESHOLDS)
    curves = {
        model: _counts(column, labels == 1) - _counts(column, labels != 1) * odds
        for model, column in zip(models, probabilities.T, strict=True)
    }
    curves[ALL] = (labels == 1).sum() - (labels != 1).sum() * odds
    cases = len(labels) if len(labels) else np.nan
    parts = [
        pd.DataFrame({"model": name, "threshold": THRESHOLDS, "net_benefit": curve / cases})
        for name, curve in curves.items()
    ]
    parts.append(pd.DataFrame({"model": NONE, "threshold": THRESHOLDS, "net_benefit": 0.0}))
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _counts(probabilities: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """How many of the chosen cases reach each threshold, [T]."""
    below = np.searchsorted(np.sort(probabilities[chosen]), THRESHOLDS, side="left")
    return (int(chosen.sum()) - below).astype(np.float64)
