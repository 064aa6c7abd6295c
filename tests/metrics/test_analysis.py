import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from murace.config import Bootstrap
from murace.metrics import paired
from murace.metrics.analysis import SCORES, Analysis, analyse
from murace.metrics.table import by_study
from murace.vocabulary import MEASURES

FEW = Bootstrap(resamples=200)
MODELS = ["convnet", "resnet", "calibrated"]


@pytest.fixture(scope="module")
def images() -> pd.DataFrame:
    """120 patients with one or two studies of one to three views; the models are better from left to right."""
    generator = np.random.default_rng(0)
    studies = np.repeat(np.arange(180), generator.integers(1, 4, 180))
    label = generator.integers(0, 2, 180)
    signal = (2 * label - 1)[:, None] * [0.5, 1.0, 1.5] + generator.normal(0, 1, (180, 3))
    chances = 1 / (1 + np.exp(-signal[studies] - generator.normal(0, 0.5, (len(studies), 3))))
    frame = pd.DataFrame(chances, columns=MODELS)
    frame["patient"] = [f"p{number % 120}" for number in studies]
    frame["study"] = [f"s{number}" for number in studies]
    frame["group"] = np.array(["elbow", "hand", "wrist"])[studies % 3]
    frame["label"], frame["site"] = label[studies], np.array(["north", "south"])[studies % 2]
    return frame


@pytest.fixture(scope="module")
def found(images: pd.DataFrame) -> Analysis:
    return analyse(images, MODELS, groups=["elbow", "hand", "wrist", "hip"], slices=["site"], bootstrap=FEW)


def test_every_row_exists_and_the_bounds_hold_the_value(found: Analysis) -> None:
    scores = found.scores
    assert list(scores.columns) == SCORES
    assert len(scores) == 2 * 3 * 5 * len(MEASURES)
    inner = scores[(scores["group"] != "hip") & (scores["metric"] != "ece")]  # ece grows with resampling
    assert (inner["low"] <= inner["value"]).all()
    assert (inner["value"] <= inner["high"]).all()
    assert (inner["high"] - inner["low"] > 0.005)[inner["value"] < 1].all()
    assert found.intervals[["level", "model", "group", "metric"]].equals(scores[["level", "model", "group", "metric"]])


def test_a_group_without_a_case_is_undefined_everywhere(found: Analysis) -> None:
    hip = found.scores[found.scores["group"] == "hip"]
    assert len(hip) == 2 * 3 * len(MEASURES)
    assert hip[["value", "low", "high", "change"]].isna().all(axis=None)
    support = found.support.set_index(["level", "group"])
    assert support.loc[("study", "hip"), ["patients", "cases", "abnormal", "small"]].tolist() == [0, 0, 0, True]
    assert support.loc[("study", "overall"), ["patients", "cases", "small"]].tolist() == [120, 180, False]


def test_a_group_scores_as_if_it_were_alone(images: pd.DataFrame, found: Analysis) -> None:
    alone = analyse(images[images["group"] == "hand"], MODELS, groups=[], bootstrap=FEW)
    ours = found.scores[found.scores["group"] == "hand"].reset_index(drop=True)
    theirs = alone.scores.assign(group="hand")
    pd.testing.assert_frame_equal(ours, theirs)


def test_every_comparison_of_the_paper_is_tested(images: pd.DataFrame, found: Analysis) -> None:
    table = found.comparisons
    assert set(zip(table["model"], table["reference"], strict=True)) == {
        ("calibrated", "convnet"),
        ("calibrated", "resnet"),
    }
    row = table.set_index(["level", "group", "reference", "metric"]).sort_index().loc[("study", "hand", "convnet")]
    studies = by_study(images[images["group"] == "hand"], MODELS)
    labels, ours, theirs = (studies[name].to_numpy() for name in ("label", "calibrated", "convnet"))
    assert row.loc["auc", ["test", "difference", "p"]].tolist() == [
        "delong",
        pytest.approx(roc_auc_score(labels, ours) - roc_auc_score(labels, theirs)),
        pytest.approx(paired.delong(labels, ours, theirs)),
    ]
    right = [(chance >= 0.5) == (labels == 1) for chance in (ours, theirs)]
    assert row.loc["accuracy", "p"] == pytest.approx(paired.mcnemar(*right))
    assert row.loc["accuracy", "difference"] == pytest.approx(right[0].mean() - right[1].mean())
    assert (row["low"] <= row["difference"]).all()
    assert (row["difference"] <= row["high"]).all()


def test_holm_is_over_the_groups_of_one_question(found: Analysis) -> None:
    table = found.comparisons
    family = table[(table["level"] == "study") & (table["reference"] == "resnet") & (table["metric"] == "auc")]
    assert family[family["group"] == "overall"]["p_holm"].isna().all()
    groups = family[family["group"].isin(["elbow", "hand", "wrist"])]
    assert groups["p_holm"].tolist() == pytest.approx(paired.holm(groups["p"].to_numpy()).tolist())
    assert (groups["p_holm"] > groups["p"]).any()


def test_models_that_agree_do_not_differ(images: pd.DataFrame) -> None:
    same = images.assign(resnet=images["calibrated"])
    table = analyse(same, ["resnet", "calibrated"], groups=[], bootstrap=FEW).comparisons
    assert (table["p"] == 1).all()
    assert (table[["difference", "low", "high"]] == 0).all(axis=None)


def test_without_a_calibrated_ensemble_all_pairs_are_compared(images: pd.DataFrame) -> None:
    named = images.rename(columns={"calibrated": "mine"})
    table = analyse(named, ["convnet", "resnet", "mine"], groups=[], bootstrap=FEW).comparisons
    assert len(set(zip(table["model"], table["reference"], strict=True))) == 3


def test_calibration_is_told_before_and_after(images: pd.DataFrame) -> None:
    means = images.groupby("study")["resnet"].transform("mean")
    after = images.assign(resnet_calibrated=1 / (1 + np.exp(-np.log(means / (1 - means)) / 2)))
    table = analyse(after, ["resnet"], groups=["hand"], calibrated={"resnet": "resnet_calibrated"}, bootstrap=FEW)
    rows = table.calibration.set_index(["group", "stage", "metric"])
    assert set(rows.index.unique("stage")) == {"raw", "calibrated"}
    for group in ("overall", "hand"):  # a temperature of 2 doubles the slope
        raw, rescaled = (rows.loc[(group, stage, "slope")] for stage in ("raw", "calibrated"))
        assert rescaled[["value", "low", "high"]].tolist() == pytest.approx(
            (2 * raw[["value", "low", "high"]]).tolist()
        )
    assert set(table.reliability["stage"]) == {"raw", "calibrated"}
    assert table.reliability.groupby("stage")["cases"].sum().tolist() == [180, 180]
    half = table.benefit[table.benefit["threshold"] == 0.5].set_index("model")["net_benefit"]
    counts = table.confusion.set_index(["level", "group"]).loc[("study", "overall")]
    assert half["resnet"] == pytest.approx((counts["true_positive"] - counts["false_positive"]) / 180)


def test_slices_are_measured_like_groups(images: pd.DataFrame, found: Analysis) -> None:
    assert list(dict.fromkeys(found.slices["slice"])) == ["site", "views"]
    north = (
        found.slices.set_index(["slice", "part", "level", "model", "metric"])
        .sort_index()
        .loc[("site", "north", "study", "resnet")]
    )
    alone = analyse(images[images["site"] == "north"], MODELS, groups=[], bootstrap=FEW)
    rows = (
        alone.scores.set_index(["level", "model", "group", "metric"]).sort_index().loc[("study", "resnet", "overall")]
    )
    for name in ("value", "low", "high"):
        assert north[name].tolist() == pytest.approx(rows.loc[list(north.index), name].tolist())
    assert north["cases"].tolist() == [90] * len(MEASURES)


def test_one_patient_has_values_and_no_interval(images: pd.DataFrame) -> None:
    one = analyse(images.assign(patient="p"), ["resnet"], groups=[], bootstrap=FEW)
    assert one.scores["value"].notna().all()
    assert one.scores[["low", "high"]].isna().all(axis=None)
    assert (one.intervals["resamples"] == 0).all()


def test_the_tables_do_not_depend_on_the_order_of_rows(images: pd.DataFrame, found: Analysis) -> None:
    shuffled = images.sample(frac=1, random_state=3)
    again = analyse(shuffled, MODELS, groups=["elbow", "hand", "wrist", "hip"], slices=["site"], bootstrap=FEW)
    for item in dataclasses.fields(Analysis):
        pd.testing.assert_frame_equal(getattr(again, item.name), getattr(found, item.name), rtol=1e-9)


def test_one_patient_with_all_of_a_class_tests_nothing(images: pd.DataFrame) -> None:
    patient = images["patient"].where(images["label"] == 0, "p-abnormal")
    table = analyse(images.assign(patient=patient), MODELS, groups=[], bootstrap=FEW).comparisons.set_index("metric")
    assert table.loc[["auc", "kappa"], ["low", "high", "p"]].isna().all(axis=None)
    assert table.loc["accuracy", ["low", "high", "p"]].notna().all(axis=None)
    assert table["difference"].notna().all()
