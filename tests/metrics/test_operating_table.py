import numpy as np
import pandas as pd
import pytest

from murace.config import Bootstrap
from murace.metrics.threshold import MEASURED, operating_table

STUDIES = pd.DataFrame(
    {
        "patient": [f"p{number}" for number in range(40)],
        "label": [0, 1] * 20,
        "resnet": np.linspace(0.0, 0.975, 40),
    }
)


def test_a_threshold_decides_from_itself_on() -> None:
    threshold = float(STUDIES["resnet"][30])
    table = operating_table(
        STUDIES, {"resnet": {"youden": threshold}}, split="test", bootstrap=Bootstrap(resamples=100)
    )
    rows = table.set_index("metric")
    assert list(rows.index) == list(MEASURED)
    assert rows["value"].tolist() == pytest.approx([5 / 20, 15 / 20, 5 / 10, 15 / 30, 20 / 40])
    assert (rows["low"] < rows["value"]).all()
    assert (rows["value"] < rows["high"]).all()
    assert set(rows["threshold"]) == {threshold}


def test_the_studies_that_chose_a_threshold_give_it_no_interval() -> None:
    table = operating_table(STUDIES, {"resnet": {"half": 0.5}}, split="validation", bootstrap=None)
    assert table["value"].notna().all()
    assert table[["low", "high"]].isna().all(axis=None)


def test_an_undefined_threshold_decides_nothing() -> None:
    table = operating_table(
        STUDIES, {"resnet": {"youden": float("nan")}}, split="test", bootstrap=Bootstrap(resamples=100)
    )
    assert table[["value", "low", "high"]].isna().all(axis=None)
