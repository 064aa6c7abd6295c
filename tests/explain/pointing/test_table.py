import numpy as np
import pytest

from murace.config import Bootstrap
from murace.explain.pointing.table import IOU, POINTING, Measured, tabulate
from murace.metrics.localisation import THRESHOLDS


def measured(patients: list[str], values: list[float], groups: list[str] | None = None) -> Measured:
    found = Measured(groups or ["hand"] * len(patients), patients)
    for value in values:
        found.add("cam", {POINTING: [value]})
    return found


def test_images_of_a_patient_are_drawn_together() -> None:
    """Two patients, one hit ten times and one missed ten times: a resample is one of them, the other, or both."""
    table, _ = tabulate(measured(["a"] * 10 + ["b"] * 10, [1.0] * 10 + [0.0] * 10), Bootstrap(resamples=400))
    row = table[table["group"] == "overall"].iloc[0]
    assert (row["value"], row["low"], row["high"], row["images"]) == (0.5, 0.0, 1.0, 20)


def test_a_single_patient_has_no_interval() -> None:
    table, _ = tabulate(measured(["a"] * 3, [1.0, 0.0, 0.0]), Bootstrap(resamples=100))
    assert table["value"].tolist() == [pytest.approx(1 / 3)] * 2
    assert table[["low", "high"]].isna().all(axis=None)


def test_one_threshold_is_best_over_all_images_of_all_groups() -> None:
    found = Measured(["hand", "hip", "hip"], ["a", "b", "c"])
    for best in (3, 10, 10):
        found.add("cam", {IOU: np.eye(len(THRESHOLDS))[best].tolist()})
    table, thresholds = tabulate(found, Bootstrap(resamples=100))
    assert thresholds == {"cam": THRESHOLDS[10]}
    assert dict(zip(table["group"], table["value"], strict=True)) == {"overall": 2 / 3, "hand": 0, "hip": 1}
