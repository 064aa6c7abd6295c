"""Sensitivity, specificity and predictive values at operating points that were frozen on other cases."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.resampling import estimate, interval
from murace.metrics.scores import NAN

MEASURED = ("recall", "specificity", "precision", "npv", "accuracy")
COLUMNS = ["model", "point", "threshold", "split", "metric", "value", "low", "high", "undefined"]
Points = Mapping[str, Mapping[str, float]]  # model -> point -> threshold


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
