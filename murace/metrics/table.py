"""Long tables of scores: level, model, group, metric, value."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from murace.metrics.scores import NAN, score
from murace.vocabulary import BASELINE, OVERALL, Level

KEYS = ["level", "model", "group", "metric"]


def by_study(images: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """A row per study with the mean of its images' probabilities (paper, "Performance comparison").

    Args:
        images: columns study, group, label and one per model.
        models: the probability columns.
    """
    grouped = images.groupby("study", sort=True)
    return pd.concat([grouped[["group", "label"]].first(), grouped[list(models)].mean()], axis=1).reset_index()


def at_level(images: pd.DataFrame, models: Sequence[str], level: Level) -> pd.DataFrame:
    """The rows that decisions are about at `level`."""
    return by_study(images, models) if level is Level.STUDY else images


def score_table(
    images: pd.DataFrame, models: Sequence[str], groups: Iterable[str], levels: Iterable[Level] = tuple(Level)
) -> pd.DataFrame:
    """Every metric of every model, overall and per group, at each level; an undefined value is NaN, its row exists.

    Args:
        images: columns study, group, label and one probability column per model, a row per image.
        models: the probability columns, in the order wanted.
        groups: the groups, in the order wanted; `overall` goes first by itself.
        levels: what decisions are about.
    """
    rows = []
    names = [OVERALL, *groups]
    for level in levels:
        frame = at_level(images, models, level)
        for model in models:
            for group in names:
                part = frame if group == OVERALL else frame[frame["group"] == group]
                values = score(part["label"].to_numpy(dtype=np.int64), part[model].to_numpy(dtype=np.float64))
                rows += [(str(level), model, group, str(name), value) for name, value in values.items()]
    return pd.DataFrame(rows, columns=[*KEYS, "value"])


def with_change(scores: pd.DataFrame) -> pd.DataFrame:
    """Add low and high (empty: no intervals yet) and change = (P - P_convnet) / P_convnet, as a fraction."""
    baseline = scores[scores["model"] == BASELINE].set_index(["level", "group", "metric"])["value"]
    keys = pd.MultiIndex.from_frame(scores[["level", "group", "metric"]])
    reference = baseline.reindex(keys).to_numpy(dtype=np.float64)
    reference = np.where(reference == 0, NAN, reference)
    change = (scores["value"].to_numpy() - reference) / reference
    return scores.assign(low=NAN, high=NAN, change=change)


def roc_points(images: pd.DataFrame, models: Sequence[str], level: Level = Level.STUDY) -> pd.DataFrame:
    """The ROC curve of each model: level, model, fpr, tpr, threshold. Empty where the labels have one class."""
    frame = at_level(images, models, level)
    labels = frame["label"].to_numpy()
    parts = []
    for model in models:
        if len(set(labels.tolist())) == 2:
            fpr, tpr, threshold = roc_curve(labels, frame[model].to_numpy(), drop_intermediate=False)
            parts.append(
                pd.DataFrame({"level": str(level), "model": model, "fpr": fpr, "tpr": tpr, "threshold": threshold})
            )
    columns = ["level", "model", "fpr", "tpr", "threshold"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
