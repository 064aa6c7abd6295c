"""The tables that an evaluation adds: the right number in the right place, and what is said under it."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from murace.report.contents import Contents
from murace.report.text.formats import DASH, MINUS
from tests.report import made_up, reading
from tests.report.reading import lines, rows, shown, table, text


@pytest.fixture(scope="module")
def light() -> Contents:
    return reading.light()


def test_table_3_keeps_the_papers_five_and_the_rest_stands_apart(light: Contents) -> None:
    page = shown(light)
    assert re.findall(r"rowgroup.*?<span>(.*?)</span>", table(page, "table-3-study")) == [
        "AUC", "Accuracy", "Precision", "Recall", "Cohen&#39;s kappa"]  # fmt: skip
    assert len(re.findall("rowgroup", table(page, "table-s2-image"))) == 7


def test_the_lowest_error_is_bold(light: Contents) -> None:
    page = shown(light)
    part = light.scores[(light.scores["level"] == "study") & (light.scores["group"] == "overall")]
    wide = part.pivot(index="model", columns="metric", values="value").reindex(part["model"].unique())
    first = [row[0] for row in rows(page, "table-s2-study") if row]
    bold = np.array(["<strong>" in cell for cell in first]).reshape(7, 5)
    assert bold[5].argmax() == wide["brier"].to_numpy().argmin()
    assert bold[6].argmax() == wide["ece"].to_numpy().argmin()
    assert bold[0].argmax() == wide["specificity"].to_numpy().argmax()
    assert (bold.sum(axis=1) == 1).all()
    assert "Brier score (lower is better)" in page


def test_small_groups_and_parts_are_marked(light: Contents) -> None:
    page = shown(light)
    marks = re.findall(r'<small class="mark">(.*?)</small>', table(page, "table-3-study"))
    assert marks == ["small: 6 abnormal / 13 normal"]
    assert "small: fewer than 30 patients" in page
    assert table(page, "table-s7").count('class="mark"') == 2
    plain = shown(light, support=light.support.assign(small=False), slices=light.slices.assign(small=False))
    assert 'class="mark"' not in plain
    assert "small: fewer" not in plain


def test_who_is_not_better_than_knowing_the_group_is_named_before_any_score(light: Contents) -> None:
    page = text(shown(light))
    told = "Not better than knowing the group (group, views, size): ConvNet."
    assert 0 < page.index(told) < page.index("Without looking at a picture, the AUC is 0.6")
    assert page.index(told) < page.index("the calibrated ensemble reads studies with")
    assert page.index("What is known without looking") < page.index("Table 1")
    better = light.comparisons.assign(low=0.01)
    assert "Not better than" not in text(shown(light, comparisons=better))


def test_the_baselines_stand_beside_the_models_and_never_among_them(light: Contents) -> None:
    page = shown(light)
    found = rows(page, "table-s8")
    assert len([row for row in found if row]) == 2 + light.scores["model"].nunique()
    assert "baseline(" not in page
    for key in ("table-3-study", "table-s4"):
        assert "group+views" not in table(page, key)
    assert 'id="baselines"' not in shown(light, baselines=light.baselines[:0])


def test_undefined_resamples_are_told_for_the_worst_case(light: Contents) -> None:
    page = shown(light)
    assert "Cohen&#39;s kappa in up to 37 of 2,000 (wrist, ConvNet) and AUC in up to 4 of 2,000" in page
    assert "Undefined in some" not in shown(light, intervals=light.intervals.assign(undefined=0))
    one = light.intervals.copy()
    one.loc[(one["model"] == "resnet") & (one["group"] == "elbow") & (one["metric"] == "brier"), "undefined"] = 2000
    assert "Brier score in up to 2,000 of 2,000 (elbow, ResNet)" in shown(light, intervals=one)


def test_footnotes_say_how_far_intervals_go(light: Contents) -> None:
    page = shown(light)
    assert "percentiles of a bootstrap over patients" in page
    assert "An interval of zero width" in page
    assert "biased upwards in small samples" in page
    assert "cover the chance in training" in page
    assert "No confidence intervals" not in page
    none = light.scores.assign(low=np.nan, high=np.nan)
    assert "No confidence intervals" in shown(light, scores=none)
    assert "An interval of zero width" not in shown(light, scores=none)


def test_differences_have_intervals_and_the_right_p(light: Contents) -> None:
    frame = light.comparisons.copy()
    one = (frame["group"] == "elbow") & (frame["metric"] == "auc") & (frame["level"] == "study")
    one &= frame["reference"] == "resnet"
    frame.loc[one, ["difference", "low", "high", "p", "p_holm"]] = [-0.0312, -0.05, -0.01, 0.0004, 0.0421]
    page = shown(light, comparisons=frame)
    cells = rows(page, "table-s4")
    assert "<strong>+0.045</strong>" in cells[1][0]
    assert "p &lt; 0.001" in cells[1][0]
    assert f"<strong>{MINUS}0.031</strong>" in cells[2][1]
    assert f"{MINUS}0.050 to {MINUS}0.010" in cells[2][1]
    assert "p = 0.042" in cells[2][1]
    assert sum("<strong>" in cell for row in cells for cell in row) == 4


def test_summary_counts_the_differences_that_remain(light: Contents) -> None:
    assert "together 3 of the 12 that could be tested have p &lt; 0.05" in shown(light)
    worse = light.comparisons.copy()
    hit = (worse["group"] == "elbow") & (worse["level"] == "study") & (worse["metric"] == "kappa")
    worse.loc[hit, ["difference", "low", "high", "p_holm"]] = [-0.1, -0.2, -0.01, 0.01]
    said = "within the groups 4 of the 84 that could be tested (4 of these against it) remain"
    assert said in shown(light, comparisons=worse)
    worse.loc[hit, "high"] = 0.01  # over patients it may be nothing
    assert "within the groups 0 of the 84" in shown(light, comparisons=worse)


def test_an_undefined_difference_is_a_dash_and_never_bold(light: Contents) -> None:
    nothing = light.comparisons.assign(difference=np.nan, low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan)
    page = shown(light, comparisons=nothing)
    assert {text(cell) for row in rows(page, "table-s4") for cell in row} == {DASH}
    assert "together 0 of the 0 that could be tested" in page


def test_choice_shows_stability_and_names_near_ties(light: Contents) -> None:
    page = shown(light)
    cells = [row for row in rows(page, "table-5") if row]
    assert "58%" in cells[11][-1]
    assert "chosen" in cells[11][-1]
    assert "81% of resamples" in cells[-1][1]
    assert "Near-tie in Wrist:" in page
    assert "2,000 bootstrap resamples of the validation patients" in page
    assert "Share of resamples" not in shown(light, roster=made_up.roster(made_up.REGIONS, made_up.LEARNERS))


def test_calibration_before_and_after_with_temperatures_of_groups(light: Contents) -> None:
    frame = light.calibration
    page = shown(light)
    found = lines(page, "table-s5")
    keys = ["model", "group", "stage", "metric"]
    values = frame.set_index(keys)["value"]
    assert found["Wrist"][8] == f"{values['calibrated', 'wrist', 'calibrated', 'temperature']:.3f}"
    assert found["ResNet"][4].startswith(f"{values['resnet', 'overall', 'raw', 'brier']:.3f} ")
    assert found["ResNet"][5].startswith(f"{values['resnet', 'overall', 'calibrated', 'brier']:.3f} ")
    assert found["ResNet"][2].startswith(f"{MINUS}0.140 ")
    assert "raw network outputs; a 0.9" not in page
    assert "raw network outputs; a 0.9" in shown(light, calibration=pd.DataFrame())


def test_confusion_counts_and_shares(light: Contents) -> None:
    line = {"true_positive": 30, "false_negative": 10, "false_positive": 5, "true_negative": 15}
    page = shown(light, confusion=light.confusion.assign(**line))
    assert lines(page, "table-s3")["Elbow"] == ["30 75%", "10 25%", "5 25%", "15 75%", "15 25%"]
    none = shown(light, confusion=light.confusion.assign(**dict.fromkeys(line, 0)))
    assert lines(none, "table-s3")["Elbow"] == ["0"] * 5


def test_operating_points_show_validation_beside_test(light: Contents) -> None:
    frame = light.operating.set_index(["model", "point", "split", "metric"])["value"]
    cells = rows(shown(light), "table-s6")[3]
    assert text(cells[0]) == "0.287"
    assert text(cells[1]) == f"{frame['calibrated', 'sensitivity_90', 'validation', 'recall']:.3f}"
    assert text(cells[5]).startswith(f"{frame['calibrated', 'sensitivity_90', 'test', 'recall']:.3f} ")
    assert " to " in text(cells[5])
    undefined = light.operating.assign(threshold=np.nan, value=np.nan, low=np.nan, high=np.nan)
    assert {text(cell) for cell in rows(shown(light, operating=undefined), "table-s6")[3]} == {DASH}


def test_slices_show_studies_and_the_others_auc(light: Contents) -> None:
    frame = light.slices.set_index(["level", "part", "model", "metric"])["value"]
    found = lines(shown(light), "table-s7")
    assert found["2"][:2] == ["170", "76"]
    assert found["2"][2].startswith(f"{frame['study', '2', 'calibrated', 'auc']:.3f} ")
    assert found["2"][6] == f"{frame['study', '2', 'convnet', 'auc']:.3f}"
    images = shown(light, slices=light.slices[light.slices["level"] == "image"])
    assert "Images in the study (images)" in images


def test_data_without_patients_are_said_to_be_so(light: Contents) -> None:
    assert "All images of a patient are in the same split" in shown(light)
    page = shown(dataclasses.replace(light, patient_level=False))
    assert "All images of a patient are in the same split" not in page
    assert page.count("The data name no patients: each study counts as one") == 2


def test_undefined_slopes_are_counted_under_the_table(light: Contents) -> None:
    assert "slope in up to" not in shown(light)
    some = light.calibration["metric"].eq("slope") & light.calibration["group"].eq("elbow")
    page = shown(light, calibration=light.calibration.assign(undefined=some.astype(int) * 411))
    assert re.search(r"slope in up to 411 of 2,000 \(elbow, \w+\)", page)


def test_a_difference_without_an_interval_is_neither_bold_nor_counted(light: Contents) -> None:
    unsure = light.comparisons.assign(low=np.nan, high=np.nan, p=0.01, p_holm=0.01)
    page = shown(light, comparisons=unsure)
    assert "<strong>" not in table(page, "table-s4")
    assert "together 0 of the 12" in page
