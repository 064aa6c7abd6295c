"""Everything that can be said about models from their probabilities alone: what `evaluate` and `score` share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.baselines import column_of
from murace.metrics.benefit import net_benefit
from murace.metrics.calibration import RAW, calibration_table, reliability_table, stages_of
from murace.metrics.comparison import comparison_table
from murace.metrics.resampling import Estimate, estimate, interval
from murace.metrics.slices import is_small, with_slices
from murace.metrics.table import KEYS, at_level, confusion_table, parts_of, roc_points, with_change
from murace.system.progress import Reporter
from murace.vocabulary import Level

SCORES = [*KEYS, "value", "low", "high", "change"]
Estimates = dict[tuple[str, str], Estimate]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Analysis:
    """Tables, in the columns that `murace.report.contents.Contents` names for them."""

    scores: pd.DataFrame
    support: pd.DataFrame
    intervals: pd.DataFrame
    comparisons: pd.DataFrame
    baselines: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    benefit: pd.DataFrame
    confusion: pd.DataFrame
    slices: pd.DataFrame
    roc: pd.DataFrame


def analyse(
    images: pd.DataFrame,
    models: Sequence[str],
    *,
    groups: Sequence[str],
    slices: Sequence[str] = (),
    baselines: Sequence[str] = (),
    calibrated: Mapping[str, str] | None = None,
    bootstrap: Bootstrap,
    reporter: Reporter | None = None,
) -> Analysis:
    """Analyse probabilities of images against labels.

    Args:
        images: a row per image: patient, study, group (text), label (0 or 1), a probability column per model, and the
            columns named by `slices` and `calibrated`; width and height where they are known.
        models: the probability columns, in the order of the tables.
        groups: the groups, in the order of the tables.
        slices: text columns to slice by, besides the number of views and the image size.
        baselines: those whose probabilities the images have, as `murace.metrics.baselines` gives them.
        calibrated: model -> the column of its calibrated probability, which is the same on all images of a study.
        bootstrap: how the intervals are made.
        reporter: who is told, and asked between resamples whether to stop.

    Raises:
        UsageError: a slice is no column, or has too many values.
        DataError: a slice has a value that a spreadsheet would run.
        Interrupted: a signal came.
    """
    models = list(models)
    stages = stages_of(models, calibrated or {})
    images, names = with_slices(images, slices)
    columns = list(dict.fromkeys(column for _, _, column in stages))
    references = [column_of(name) for name in baselines]
    keep = ["patient", "group", "label", *names, *references]  # a mean of equal values would differ in the last bit
    frames = {level: at_level(images, columns, level, keep) for level in (Level.STUDY, Level.IMAGE)}
    reporter = reporter or Reporter()
    estimates = {}
    with reporter.bar("intervals", len(frames) * (len(groups) + 1)) as bar:
        for level, frame in frames.items():
            for group, part in parts_of(frame, groups):
                estimates[str(level), group] = estimate(part, [*models, *references], bootstrap, reporter)
                bar.advance(note=group)
    scores = _scores(estimates, [*models, *references])
    studies, of_model = frames[Level.STUDY], scores["model"].isin(models)
    named = dict(zip(references, baselines, strict=True))
    features = scores[~of_model].rename(columns={"model": "features"})
    best = [column for stage, model, column in stages if stage != RAW or model not in (calibrated or {})]
    return Analysis(
        scores=with_change(scores[of_model]).reset_index(drop=True),
        support=_support(frames, groups),
        intervals=_intervals(estimates, models),
        comparisons=comparison_table(estimates, models, groups, references),
        baselines=features.assign(features=features["features"].map(named)).reset_index(drop=True),
        calibration=calibration_table(studies, stages, groups=groups, bootstrap=bootstrap, reporter=reporter),
        reliability=reliability_table(studies, stages),
        benefit=net_benefit(
            studies["label"].to_numpy(dtype=np.int64), studies[best].to_numpy(dtype=np.float64), models
        ),
        confusion=confusion_table(images, models, groups),
        slices=_slices(frames, models, names, bootstrap, reporter),
        roc=pd.concat([roc_points(images, models, level) for level in frames], ignore_index=True),
    )


def _lines(estimate: Estimate, models: Sequence[str]) -> list[tuple[str, str, float, float, float, int]]:
    """model, metric, value, low, high, undefined; the order of the tables."""
    bounds = {metric: interval(drawn) for metric, drawn in estimate.resampled.items()}
    return [
        (model, metric, float(values[place]), float(low[place]), float(high[place]), int(undefined[place]))
        for place, model in enumerate(models)
        for metric, values in estimate.value.items()
        for low, high, undefined in [bounds[metric]]
    ]


def _scores(estimates: Estimates, columns: Sequence[str]) -> pd.DataFrame:
    """Table 3, long, of models and baselines: the order is level, model, group, metric."""
    rows = [
        (level, model, group, metric, value, low, high)
        for (level, group), estimate in estimates.items()
        for model, metric, value, low, high, _ in _lines(estimate, columns)
    ]
    return _in_order(pd.DataFrame(rows, columns=SCORES[:-1]), columns)


def _intervals(estimates: Estimates, models: Sequence[str]) -> pd.DataFrame:
    """In how many resamples each score was undefined; none is drawn from a single patient."""
    rows = [
        (level, model, group, metric, len(estimate.resampled[metric]), undefined)
        for (level, group), estimate in estimates.items()
        for model, metric, _, _, _, undefined in _lines(estimate, models)
    ]
    return _in_order(pd.DataFrame(rows, columns=[*KEYS, "resamples", "undefined"]), models)


def _in_order(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """Sort by level and model; groups and metrics keep their order."""
    order = {name: place for place, name in enumerate((*map(str, (Level.STUDY, Level.IMAGE)), *models))}
    return frame.sort_values(["level", "model"], key=lambda column: column.map(order), kind="stable", ignore_index=True)


def _support(frames: Mapping[Level, pd.DataFrame], groups: Sequence[str]) -> pd.DataFrame:
    rows = [
        (str(level), group, part["patient"].nunique(), len(part), int(part["label"].sum()), is_small(part))
        for level, frame in frames.items()
        for group, part in parts_of(frame, groups)
    ]
    return pd.DataFrame(rows, columns=["level", "group", "patients", "cases", "abnormal", "small"])


def _slices(
    frames: Mapping[Level, pd.DataFrame],
    models: Sequence[str],
    names: Sequence[str],
    bootstrap: Bootstrap,
    reporter: Reporter,
) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for name in names:
        for level, frame in frames.items():
            for part, cases in frame.groupby(name, sort=True, observed=True):
                size = len(cases), int(cases["label"].sum()), cases["patient"].nunique(), is_small(cases)
                found = _lines(estimate(cases, models, bootstrap, reporter), models)
                rows += [(name, str(part), str(level), *line[:-1], *size, line[-1]) for line in found]
    fixed = ["slice", "part", "level", "model", "metric", "value", "low", "high"]
    fixed += ["cases", "abnormal", "patients", "small", "undefined"]
    return pd.DataFrame(rows, columns=fixed)
