"""Differences, calibration and slices on the terminal: they fit it, however many models there are."""

import math

import pandas as pd
import pytest

from murace.cli.display.evidence import (
    baseline_lines,
    calibration_table,
    comparisons_table,
    slices_table,
    undefined_notes,
)
from tests.cli.display.test_tables import GROUPS, MODELS, shown

NAN = math.nan


def comparisons(pairs: list[tuple[str, str]], p: float = 0.2, p_holm: float = 0.4) -> pd.DataFrame:
    tests = {"auc": "delong", "accuracy": "mcnemar", "kappa": "bootstrap"}
    rows = [
        (level, group, *pair, metric, test, 0.1, 0.01, 0.2, p, NAN if group == "overall" else p_holm)
        for level in ("study", "image")
        for group in GROUPS
        for pair in pairs
        for metric, test in tests.items()
    ]
    names = ["level", "group", "model", "reference", "metric", "test", "difference", "low", "high", "p", "p_holm"]
    return pd.DataFrame(rows, columns=names)


def calibration(models: list[str], stages: list[str]) -> pd.DataFrame:
    metrics = {"slope": 1, "intercept": -1, "brier": 1, "ece": 1}
    rows = [
        (model, group, stage, metric, sign * 0.912, sign * 1.1, 0.8)
        for group in GROUPS
        for stage in stages
        for model in models
        for metric, sign in metrics.items()
    ]
    return pd.DataFrame(rows, columns=["model", "group", "stage", "metric", "value", "low", "high"])


def slices(models: list[str], small: bool = False) -> pd.DataFrame:
    parts = [("image size", f"0.12{number} to 0.15{number} megapixels") for number in range(3)]
    rows = [
        (*part, level, model, metric, 0.7, 0.61, 0.81, 1234, 50, 12, small)
        for part in parts
        for level in ("study", "image")
        for model in models
        for metric in ("auc", "kappa")
    ]
    names = [
        "slice",
        "part",
        "level",
        "model",
        "metric",
        "value",
        "low",
        "high",
        "cases",
        "abnormal",
        "patients",
        "small",
    ]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("models", [MODELS, [f"model number {place}" for place in range(12)]])
def test_every_number_is_there_at_any_width(models: list[str], width: int) -> None:
    pairs = [(models[-1], model) for model in models[:-1]][:10]
    differences = "".join(shown(table, width) for table in comparisons_table(comparisons(pairs)))
    assert differences.count("+0.100") == len(pairs) * len(GROUPS) * 3
    measures = shown(calibration_table(calibration(models, ["raw"])), width)
    assert measures.count(" 0.91 [1.10,0.80]") == measures.count("-0.91 [-1.10,0.80]") == len(models)
    assert measures.count("0.912 [1.100,0.800]") == 2 * len(models)
    parts = "".join(shown(table, width) for table in slices_table(slices(models), models))
    assert parts.count("0.700") == parts.count("0.61-0.81") == 3 * len(models)
    for text in (differences, measures, parts):
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text


def test_the_papers_models_stand_side_by_side_in_a_hundred_columns() -> None:
    pairs = [("calibrated", model) for model in MODELS[:-1]]
    for tables in (comparisons_table(comparisons(pairs)), slices_table(slices(MODELS), MODELS)):
        assert sum(shown(table, 100).count("─\n") for table in tables) == 1
    assert shown(calibration_table(calibration(MODELS, ["raw", "calibrated"])), 100).count("─\n") == 1


def test_p_is_holms_where_there_is_one_and_bold_where_it_is_small() -> None:
    (table,) = comparisons_table(comparisons([("b", "a")], p=0.04, p_holm=0.32))
    lines = [line for line in shown(table, colours=True).splitlines() if "0.100" in line]
    assert len(lines) == 3 * len(GROUPS)
    for line in lines:
        assert (".040" in line, ".320" in line, "\x1b[1m" in line) == (
            ("overall" in line),
            ("overall" not in line),
            ("overall" in line),
        )
    (table,) = comparisons_table(comparisons([("b", "a")], p=1e-9, p_holm=NAN))
    assert "<.001" in shown(table)
    (table,) = comparisons_table(comparisons([("b", "a")]).assign(difference=NAN))
    assert "0.100" not in shown(table)
    assert "nan" not in shown(table)


def test_what_is_known_without_looking_is_a_line_and_who_is_no_better_another() -> None:
    columns = ["level", "features", "group", "metric", "value", "low", "high"]
    known = [
        ("study", "group", "overall", "auc", 0.6, 0.5, 0.7),
        ("study", "group+views+size", "overall", "auc", 0.7, 0.658, 0.734),
    ]
    baselines = pd.DataFrame([*known, ("image", "group", "overall", "auc", 0.1, 0.1, 0.1)], columns=columns)
    against = [("a", "baseline(group+views+size)"), ("b", "baseline(group+views+size)"), ("b", "a")]
    found = comparisons(against)
    found["low"] = found["model"].map({"a": -0.01, "b": 0.02})
    assert baseline_lines(baselines, found) == [
        "without looking at a picture (group, views, size): AUC 0.70 (0.66 to 0.73)",
        "not better than knowing the group (group, views, size): a",
    ]
    assert len(baseline_lines(baselines, found.assign(low=0.01))) == 1
    assert baseline_lines(baselines.assign(value=NAN, low=NAN), found)[0].endswith("AUC -")
    assert baseline_lines(baselines[:0], found[:0]) == []
    undefined = found.assign(difference=NAN, low=NAN)
    assert len(baseline_lines(baselines, undefined)) == 1
    (table,) = comparisons_table(found)
    assert "baseline" not in shown(table)


def test_more_pairs_than_anyone_reads_are_counted() -> None:
    (table,) = comparisons_table(comparisons([("m", f"r{place}") for place in range(13)]))
    text = shown(table, 100)
    assert "3 more pairs: --json" in text
    assert ("r9" in text, "r10" in text) == (True, False)


def test_before_and_after_calibration_stand_below_each_other() -> None:
    lines = shown(calibration_table(calibration(["mine", "theirs"], ["raw", "calibrated"])), 100).splitlines()
    assert [line.split()[0] for line in lines[-4:]] == ["mine", "calibrated", "theirs", "calibrated"]


def test_small_parts_say_so() -> None:
    assert shown(slices_table(slices(["m"], small=True), ["m"])[0]).count("small") == 3
    assert "small" not in shown(slices_table(slices(["m"]), ["m"])[0])


def test_without_pairs_or_slices_there_is_no_table() -> None:
    assert comparisons_table(comparisons([])) == []
    assert slices_table(slices([]), []) == []


def test_undefined_resamples_are_counted_aloud() -> None:
    columns = ["level", "model", "group", "metric", "resamples", "undefined"]
    rows = [("study", "a", "hip", "kappa", 2000, 682), ("study", "a", "hip", "auc", 2000, 0)]
    rows += [("image", "a", "hip", "kappa", 2000, 900)]
    (line,) = undefined_notes(pd.DataFrame(rows, columns=columns))
    assert line.startswith("1 of 2 scores are undefined in some resamples")
    assert "682 of 2,000: kappa of a in hip" in line
    assert undefined_notes(pd.DataFrame(rows[1:2], columns=columns)) == []


def test_a_difference_without_an_interval_is_not_bold() -> None:
    (table,) = comparisons_table(comparisons([("b", "a")], p=0.01, p_holm=0.01).assign(low=NAN, high=NAN))
    assert "\x1b[1m" not in "".join(line for line in shown(table, colours=True).splitlines() if "0.100" in line)
