"""Long tables of scores: level, model, group, metric, value."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from murace.metrics.scores import NAN, counts, score
from murace.vocabulary import BASELINE, OVERALL, Level, Metric

KEYS = ["level", "model", "group", "metric"]
CONFUSION = ["true_positive", "false_positive", "false_negative", "true_negative"]


def by_study(images: pd.DataFrame, models: Sequence[str], keep: Sequence[str] = ("group", "label")) -> pd.DataFrame:
    """A row per study with the mean of its images' probabilities (paper, "Performance comparison").

    Args:
        images: columns study, one per model, and those of `keep`.
        models: the probability columns.
        keep: columns that are the same on all images of a study.
    """
    grouped = images.groupby("study", sort=True)
    return pd.concat([grouped[list(keep)].first(), grouped[list(models)].mean()], axis=1).reset_index()


def at_level(
    images: pd.DataFrame, models: Sequence[str], level: Level, keep: Sequence[str] = ("group", "label")
) -> pd.DataFrame:
    """The rows that decisions are about at `level`."""
    return by_study(images, models, keep) if level is Level.STUDY else images


def parts_of(frame: pd.DataFrame, groups: Iterable[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """`overall` with all rows, then each group with its own (maybe none)."""
    yield OVERALL, frame
    for group in groups:
        yield group, frame[frame["group"] == group]


def score_table(images: pd.DataFrame, models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """The paper's five metrics of every model, overall and per group, at each level; an undefined value is NaN.

    Args:
        images: columns study, group, label and one probability column per model, a row per image.
        models: the probability columns, in the order wanted.
        groups: the groups, in the order wanted; `overall` goes first by itself.
    """
    rows = []
    for level in Level:
        parts = dict(parts_of(at_level(images, models, level), groups))
        for model in models:
            for group, part in parts.items():
                values = score(part["label"].to_numpy(dtype=np.int64), part[model].to_numpy(dtype=np.float64))
                rows += [(str(level), model, group, str(name), values[name]) for name in Metric]
    return pd.DataFrame(rows, columns=[*KEYS, "value"])


def with_change(scores: pd.DataFrame) -> pd.DataFrame:
    """Add change = (P - P_convnet) / P_convnet, as a fraction; empty without convnet."""
    baseline = scores[scores["model"] == BASELINE].set_index(["level", "group", "metric"])["value"]
    keys = pd.MultiIndex.from_frame(scores[["level", "group", "metric"]])
    reference = baseline.reindex(keys).to_numpy(dtype=np.float64)
    reference = np.where(reference == 0, NAN, reference)
    change = (scores["value"].to_numpy() - reference) / reference
    return scores.assign(change=change)


def confusion_table(images: pd.DataFrame, models: Sequence[str], groups: Sequence[str]) -> pd.DataFrame:
    """Decisions at 0.5 against labels: level, model, group and the four counts."""
    rows: list[tuple[object, ...]] = []
    for level in Level:
        for group, part in parts_of(at_level(images, models, level), groups):
            labels, chances = part["label"].to_numpy(dtype=np.int64), part[list(models)].to_numpy(dtype=np.float64)
            table = [cells[0].astype(int) for cells in counts(labels, chances, np.ones((1, len(labels))))]
            rows += [
                (str(level), model, group, *numbers)
                for model, numbers in zip(models, zip(*table, strict=True), strict=True)
            ]
    return pd.DataFrame(rows, columns=[*KEYS[:3], *CONFUSION])


def roc_points(images: pd.DataFrame, models: Sequence[str], level: Level = Level.STUDY) -> pd.DataFrame:
    """The ROC curve of each model: level, model, fpr, tpr, threshold. Empty where the labels have one class."""
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - loading it takes longer than all that only reads tables

    frame = at_level(images, models, level)
    labels = frame["label"].to_numpy()
    if len(set(labels.tolist())) < 2:
        return pd.DataFrame(columns=["level", "model", "fpr", "tpr", "threshold"])
    parts = []
    for model in models:
        fpr, tpr, threshold = roc_curve(labels, frame[model].to_numpy(), drop_intermediate=False)
        parts.append(
            pd.DataFrame({"level": str(level), "model": model, "fpr": fpr, "tpr": tpr, "threshold": threshold})
        )
    return pd.concat(parts, ignore_index=True)
