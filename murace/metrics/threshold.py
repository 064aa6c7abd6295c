"""Operating points: thresholds chosen on validation cases and frozen, and sensitivity and specificity at them."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.resampling import estimate, interval
from murace.metrics.scores import NAN
from murace.vocabulary import POINTS, SENSITIVITIES

MEASURED = ("recall", "specificity", "precision", "npv", "accuracy")
COLUMNS = ["model", "point", "threshold", "split", "metric", "value", "low", "high", "undefined"]
Points = Mapping[str, Mapping[str, float]]  # model -> point -> threshold

HALF = 0.5

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def operating_points(labels: Integers, probabilities: Floats) -> dict[str, float]:
    """Choose thresholds; a case is decided abnormal at p >= threshold.

    Each threshold but `half` is one of the probabilities. Counts are compared as whole numbers, so that rounding
    decides neither a tie nor whether 18 of 20 is 90 %.

    Args:
        labels: 0 or 1, [N].
        probabilities: [N], 0 to 1.

    Returns:
        `half`: 0.5.
        `youden`: where sensitivity + specificity - 1 is largest (Youden, Index for rating diagnostic tests, Cancer 3,
            1950); of equals the largest threshold, which calls the fewest cases abnormal, as the first maximum along
            a ROC curve does.
        `sensitivity_90`, `sensitivity_95`: the largest threshold with at least this sensitivity on these cases.
        All but `half` are NaN where the labels have one class or there is no case.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not between 0 and 1")
    abnormal, normal = np.sort(probabilities[labels == 1]), np.sort(probabilities[labels != 1])
    points = dict.fromkeys(POINTS, float("nan")) | {"half": HALF}
    if not len(abnormal) or not len(normal):
        return points
    candidates = np.unique(probabilities)[::-1]
    found = len(abnormal) - np.searchsorted(abnormal, candidates, side="left")
    alarms = len(normal) - np.searchsorted(normal, candidates, side="left")
    # Sensitivity + specificity - 1, times the number of abnormal and of normal cases.
    points["youden"] = float(candidates[np.argmax(found * len(normal) - alarms * len(abnormal))])
    for wanted in SENSITIVITIES:
        enough = 100 * found >= wanted * len(abnormal)
        points[f"sensitivity_{wanted}"] = float(candidates[np.argmax(enough)])
    return points


def operating_table(studies: pd.DataFrame, points: Points, *, split: str, bootstrap: Bootstrap | None) -> pd.DataFrame:
    """Sensitivity, specificity, predictive values and accuracy of each model at each of its thresholds.

    Args:
        studies: columns patient, label and one per model; abnormal is decided at p >= threshold.
        points: the thresholds; one that is NaN gives rows without values.
        split: what to call these studies.
        bootstrap: how the intervals are made; None for the studies that chose the thresholds, where an interval would
            not count the choosing.
    """
    places = [(model, point, threshold) for model, named in points.items() for point, threshold in named.items()]
    decided = {
        str(place): (studies[model] >= threshold).astype(np.float64)
        for place, (model, _, threshold) in enumerate(places)
    }
    frame = pd.DataFrame({"patient": studies["patient"], "label": studies["label"], **decided})
    found = estimate(frame, list(decided), bootstrap)
    rows = []
    for metric in MEASURED:
        low, high, undefined = interval(found.resampled[metric])
        for place, (model, point, threshold) in enumerate(places):
            values = (found.value[metric][place], low[place], high[place])
            known = values if not np.isnan(threshold) else (NAN, NAN, NAN)
            counted = int(undefined[place])
            rows.append((model, point, threshold, split, metric, *(float(value) for value in known), counted))
    return pd.DataFrame(rows, columns=COLUMNS)
