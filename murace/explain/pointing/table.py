"""From what was measured on each image to a table with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.localisation import THRESHOLDS
from murace.metrics.resampling import interval, resamples
from murace.metrics.table import parts_of

Floats = npt.NDArray[np.float64]
COLUMNS = ["source", "metric", "group", "value", "low", "high", "images"]
CENTRE, RANDOM, CHANCE = "centre prior", "randomised network", "chance"
POINTING, EXACT, ENERGY, IOU = "pointing", "pointing without margin", "energy", "iou"


@dataclass
class Measured:
    """Row by row as images are measured: who they show, and per source and metric a value (iou: one a threshold)."""

    groups: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], list[Sequence[float]]] = field(default_factory=dict)

    def add(self, source: str, scores: Mapping[str, Sequence[float]]) -> None:
        """Note what one source scored on the latest image."""
        for metric, values in scores.items():
            self.values.setdefault((source, metric), []).append(values)


def tabulate(measured: Measured, bootstrap: Bootstrap) -> tuple[pd.DataFrame, dict[str, float]]:
    """Means with 95 % intervals by bootstrap over patients, overall and per group.

    IoU is at one threshold per source, the one that is best on average over all its images; the intervals keep it.

    Returns:
        The table, COLUMNS, and each source's threshold, as a share of the map's maximum.
    """
    frame = pd.DataFrame({"group": measured.groups, "patient": measured.patients})
    rows: list[tuple[object, ...]] = []
    best: dict[str, float] = {}
    for (source, metric), listed in measured.values.items():
        values = np.asarray(listed, dtype=np.float64)
        column = int(values.mean(axis=0).argmax())
        if metric == IOU:
            best[source] = THRESHOLDS[column]
        for group, part in parts_of(frame.assign(value=values[:, column]), sorted(set(measured.groups))):
            low, high = _bounds(part, bootstrap)
            rows.append((source, metric, group, float(part["value"].mean()), low, high, len(part)))
    return pd.DataFrame(rows, columns=COLUMNS), best


def _bounds(part: pd.DataFrame, bootstrap: Bootstrap) -> tuple[float, float]:
    """NaN where there is one patient only."""
    values = part["value"].to_numpy(dtype=np.float64)
    drawn = [weights @ values / weights.sum(axis=1) for weights in resamples(part["patient"], bootstrap)]
    if not drawn:
        return np.nan, np.nan
    low, high, _ = interval(np.concatenate(drawn)[:, None])
    return float(low[0]), float(high[0])
