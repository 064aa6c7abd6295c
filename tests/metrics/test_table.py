import math

import pandas as pd
import pytest

from murace.metrics.table import by_study, roc_points, score_table, with_change
from murace.vocabulary import Level

IMAGES = pd.DataFrame(
    {
        "study": ["a/1", "a/1", "a/2", "b/1", "b/1", "b/1"],
        "group": ["a", "a", "a", "b", "b", "b"],
        "label": [1, 1, 0, 1, 1, 1],
        "convnet": [0.9, 0.2, 0.4, 0.1, 0.2, 0.9],
        "resnet": [0.9, 0.8, 0.1, 0.6, 0.7, 0.9],
    }
)


def value(frame: pd.DataFrame, *key: str, column: str = "value") -> float:
    return float(frame.set_index(["level", "model", "group", "metric"]).loc[key, column])


def test_a_studys_probability_is_the_mean_of_its_views() -> None:
    studies = by_study(IMAGES, ["convnet"]).set_index("study")
    assert studies.loc["a/1", "convnet"] == pytest.approx(0.55)
    assert studies.loc["b/1", "convnet"] == pytest.approx(0.4)
    assert studies.loc["a/2", "label"] == 0


def test_levels_differ_and_every_row_exists() -> None:
    scores = score_table(IMAGES, ["convnet", "resnet"], ["a", "b"])
    assert len(scores) == 2 * 2 * 3 * 5
    assert value(scores, "image", "convnet", "overall", "accuracy") == pytest.approx(3 / 6)
    assert value(scores, "study", "convnet", "overall", "accuracy") == pytest.approx(2 / 3)
    assert math.isnan(value(scores, "study", "convnet", "b", "auc"))


def test_change_is_a_fraction_of_convnets_value() -> None:
    scores = with_change(score_table(IMAGES, ["convnet", "resnet"], ["a", "b"]))
    assert value(scores, "image", "resnet", "overall", "accuracy", column="change") == pytest.approx((1 - 0.5) / 0.5)
    assert value(scores, "image", "convnet", "overall", "accuracy", column="change") == 0
    assert math.isnan(value(scores, "study", "resnet", "b", "auc", column="change"))
    alone = with_change(score_table(IMAGES, ["resnet"], ["a", "b"]))
    assert alone["change"].isna().all()


def test_roc_uses_probabilities_and_keeps_every_threshold() -> None:
    points = roc_points(IMAGES, ["resnet"])
    assert set(points["threshold"]) >= {0.85, 0.1} or {round(v, 2) for v in points["threshold"]} >= {0.85, 0.1}
    assert roc_points(IMAGES[IMAGES["label"] == 1], ["resnet"], Level.IMAGE).empty
