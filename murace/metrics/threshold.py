"""Operating points: thresholds chosen on validation cases, to be frozen before any test case is looked at."""

import numpy as np
import numpy.typing as npt

from murace.vocabulary import POINTS, SENSITIVITIES

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
