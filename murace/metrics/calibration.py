"""How far probabilities may be read as probabilities: slope, intercept, Brier's score and calibration error."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.recalibration import intercept, slope
from murace.metrics.reliability import reliability_curve
from murace.metrics.resampling import Estimate, estimate, interval, resamples
from murace.metrics.scores import Labels, Probabilities, Values, Weights
from murace.metrics.table import parts_of

RAW, CALIBRATED = "raw", "calibrated"
COLUMNS = ["model", "group", "stage", "metric", "value", "low", "high"]
Statistic = Callable[[Labels, Probabilities, Weights], Values]
STATISTICS: dict[str, Statistic] = {"slope": slope, "intercept": intercept}
Stages = Sequence[tuple[str, str, str]]  # stage, model, its column


def stages_of(models: Sequence[str], calibrated: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The model's own column, and where there is one that of its calibrated probability."""
    return [
        *((RAW, model, model) for model in models),
        *((CALIBRATED, model, calibrated[model]) for model in models if model in calibrated),
    ]


def calibration_table(
    studies: pd.DataFrame, stages: Stages, *, groups: Sequence[str], bootstrap: Bootstrap
) -> pd.DataFrame:
    """Slope, intercept (both of Cox 1958), Brier and ECE of each model and stage, overall and per group.

    Args:
        studies: columns patient, group, label and those of the stages, a row per study.
        stages: see `stages_of`.
        groups: the groups, in order.
        bootstrap: how the intervals are made.
    """
    rows: list[tuple[object, ...]] = []
    columns = [column for _, _, column in stages]
    for group, part in parts_of(studies, groups):
        found = estimate(part, columns, bootstrap)
        draws = list(resamples(part["patient"], bootstrap))
        for place, (stage, model, _) in enumerate(stages):
            for metric, value, low, high in _measures(found, place, draws):
                rows.append((model, group, stage, metric, value, low, high))
    return pd.DataFrame(rows, columns=COLUMNS)


def _measures(found: Estimate, place: int, draws: Sequence[Weights]) -> Iterator[tuple[str, float, float, float]]:
    labels, chances = found.labels, found.probabilities[:, place]
    for name, statistic in STATISTICS.items():
        value = statistic(labels, chances, np.ones((1, len(labels))))
        drawn = np.concatenate([np.empty(0), *(statistic(labels, chances, weights) for weights in draws)])
        low, high, _ = interval(drawn[:, None])
        yield name, float(value[0]), float(low[0]), float(high[0])
    for name in ("brier", "ece"):
        low, high, _ = interval(found.resampled[name][:, [place]])
        yield name, float(found.value[name][place]), float(low[0]), float(high[0])


def reliability_table(studies: pd.DataFrame, stages: Stages) -> pd.DataFrame:
    """The points of every model's reliability diagram: model, stage, bin, cases, mean, observed, low, high."""
    labels = studies["label"].to_numpy(dtype=np.int64)
    parts = []
    for stage, model, column in stages:
        curve = reliability_curve(labels, studies[column].to_numpy(dtype=np.float64))
        curve.insert(0, "stage", stage)
        curve.insert(0, "model", model)
        parts.append(curve)
    return pd.concat(parts, ignore_index=True)
