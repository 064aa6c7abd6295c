"""Calibration of probabilities: slope, intercept, Brier score and expected calibration error (ECE)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.recalibration import intercept, slope
from murace.metrics.reliability import COLUMNS as CURVE
from murace.metrics.reliability import reliability_curve
from murace.metrics.resampling import interval, resamples
from murace.metrics.scores import Labels, Probabilities, Values, Weights, brier, calibration_error
from murace.metrics.table import parts_of
from murace.system.progress import Reporter

RAW, CALIBRATED = "raw", "calibrated"
COLUMNS = ["model", "group", "stage", "metric", "value", "low", "high", "undefined"]
Statistic = Callable[[Labels, Probabilities, Weights], Values]
STATISTICS: dict[str, Statistic] = {
    "slope": slope,
    "intercept": intercept,
    "brier": brier,
    "ece": calibration_error,
}
Stages = Sequence[tuple[str, str, str]]  # stage, model, its column


def stages_of(models: Sequence[str], calibrated: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The model's own column, and where there is one that of its calibrated probability."""
    return [
        *((RAW, model, model) for model in models),
        *((CALIBRATED, model, calibrated[model]) for model in models if model in calibrated),
    ]


def calibration_table(
    studies: pd.DataFrame, stages: Stages, *, groups: Sequence[str], bootstrap: Bootstrap, reporter: Reporter
) -> pd.DataFrame:
    """Slope, intercept (both of Cox 1958), Brier and ECE of each model and stage, overall and per group.

    Args:
        studies: columns patient, group, label and those of the stages, a row per study.
        stages: see `stages_of`.
        groups: the groups, in order.
        bootstrap: how the intervals are made.
        reporter: asked between resamples whether to stop.
    """
    rows: list[tuple[object, ...]] = []
    columns = [column for _, _, column in stages]
    for group, part in parts_of(studies, groups):
        labels, chances = part["label"].to_numpy(dtype=np.int64), part[columns].to_numpy(dtype=np.float64)
        for name, values in _fitted(labels, chances, resamples(part["patient"], bootstrap, reporter)).items():
            bounds = (bound.tolist() for bound in interval(values[1:]))
            found = zip(stages, values[0].tolist(), *bounds, strict=True)
            rows += [(model, group, stage, name, *numbers) for (stage, model, _), *numbers in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _fitted(labels: Labels, chances: Probabilities, draws: Iterable[Weights]) -> dict[str, Values]:
    """Each statistic of every column [N, M] as they are, and then in every resample: [1 + R, M]."""
    parts: dict[str, list[Values]] = {name: [] for name in STATISTICS}
    for weights in chain([np.ones((1, len(labels)))], draws):
        for name, statistic in STATISTICS.items():
            parts[name].append(np.stack([statistic(labels, column, weights) for column in chances.T], axis=1))
    return {name: np.concatenate(values) for name, values in parts.items()}


def reliability_table(studies: pd.DataFrame, stages: Stages) -> pd.DataFrame:
    """The points of every model's reliability diagram: model, stage, bin, cases, mean, observed, low, high."""
    labels = studies["label"].to_numpy(dtype=np.int64)
    parts = [
        reliability_curve(labels, studies[column].to_numpy(dtype=np.float64)).assign(model=model, stage=stage)
        for stage, model, column in stages
    ]
    return pd.concat(parts, ignore_index=True)[["model", "stage", *CURVE]]
