"""Tables for people: what is best is bold, what must be said is said, and nothing needs 160 columns to be read."""

import io
import re

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from murace.cli.display.tables import counts_table, roster_table, scores_table
from murace.vocabulary import Metric

MODELS = ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
GROUPS = ["overall", "elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist"]


def shown(item: RenderableType, width: int = 100, *, colours: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, color_system="standard" if colours else None)
    console.print(item)
    return console.file.getvalue()


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [
        (metric, group, model, 0.8 + 0.01 * place, -0.05 + 0.2 * place, 1.0)
        for metric in Metric
        for group in GROUPS
        for place, model in enumerate(MODELS)
    ]
    return pd.DataFrame(rows, columns=["metric", "group", "model", "value", "low", "high"])


def test_five_models_with_intervals_fit_a_hundred_columns(scores: pd.DataFrame) -> None:
    whole = shown(scores_table(scores, MODELS, title="Test scores by study"))
    assert max(len(line) for line in whole.splitlines()) <= 100
    text = shown(scores_table(scores, MODELS, title="Test scores by study", metrics=["auc"]))
    assert "…" not in text
    assert len([line for line in text.splitlines() if line.strip()]) == len(GROUPS) + 4  # nothing is folded
    (row,) = [line.split() for line in text.splitlines() if "elbow" in line]
    intervals = ["-.05-1.0", ".15-1.0", ".35-1.0", ".55-1.0", ".75-1.0"]
    values = ["0.800", "0.810", "0.820", "0.830", "0.840"]
    assert row == ["elbow", *(word for pair in zip(values, intervals, strict=True) for word in pair)]


def test_without_intervals_eighty_are_enough(scores: pd.DataFrame) -> None:
    bare = scores.drop(columns=["low", "high"])
    assert max(map(len, shown(scores_table(bare, MODELS, title="Scores"), 80).splitlines())) <= 80


def test_only_the_best_is_bold(scores: pd.DataFrame) -> None:
    scores = scores[scores["metric"] == "auc"].copy()
    scores.loc[scores["group"] == "elbow", "value"] = [0.9, 0.8, 0.9, float("nan"), 0.7]
    text = shown(scores_table(scores, MODELS, title="", metrics=["auc"]), colours=True)
    (row,) = [line for line in text.splitlines() if "elbow" in line]
    assert len(re.findall(r"\x1b\[1m *0\.900\x1b", row)) == 2
    assert row.count("\x1b[1m") == 2
    assert " -" in row  # the undefined one


def test_ties_and_missing_votes_are_said() -> None:
    groups = {
        "elbow": {"learner": "densenet", "votes": {"densenet": 3, "resnet": 0}, "shared": [], "tie": False},
        "hand": {"learner": "resnet", "votes": {"densenet": 1, "resnet": 1}, "shared": ["auc"], "tie": True},
        "wrist": {"learner": "resnet", "votes": {"densenet": 1, "resnet": 3}, "shared": ["kappa"], "tie": False},
        "finger": {"learner": "convnet", "votes": {"convnet": 0}, "shared": [], "tie": False},
    }
    shares = {"elbow": 0.97, "hand": 0.41, "wrist": 0.63}
    for group, entry in groups.items():
        entry["stability"] = {entry["learner"]: shares[group]} if group in shares else {}
        entry["near_tie"] = shares.get(group, 0) < 0.6
    lines = {
        line.split()[0]: " ".join(line.split())
        for line in shown(roster_table({"groups": groups, "resamples": 2000}), 120).splitlines()
        if line.split()
    }
    assert lines["elbow"] == "elbow densenet densenet 3 97%"
    assert lines["hand"].endswith("41% near-tie; tie, settled by mean rank; shared top in auc")
    assert lines["wrist"].endswith("shared top in kappa")
    assert "tie" not in lines["wrist"]
    assert "no validation score is defined" in lines["finger"]


def test_the_counts_fit_eighty_columns() -> None:
    columns = [f"{split}_{side}" for split in ("train", "validation", "test") for side in ("positive", "negative")]
    counts = pd.DataFrame([{"group": name, **dict.fromkeys(columns, 12345)} for name in GROUPS])
    text = shown(counts_table(counts))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.count("12,345") == len(GROUPS) * len(columns)


def test_a_title_is_not_folded_to_a_narrow_table(scores: pd.DataFrame) -> None:
    title = "Test scores by study (Table 3); beside them the change over convnet"
    assert f"{title}\n" in shown(scores_table(scores, ["convnet"], title=title, metrics=["auc"]))


def test_values_stand_below_each_other_with_an_interval_or_without(scores: pd.DataFrame) -> None:
    scores.loc[scores["group"] == "hand", ["value", "low", "high"]] = [1.0, 1.0, 1.0]  # every resample agrees
    below = (scores["group"] == "wrist") & scores["model"].isin(["convnet", "resnet"])
    scores.loc[below, ["value", "low", "high"]] = [-0.216, -0.62, -0.12]
    text = shown(scores_table(scores, MODELS, title="Scores"))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("─\n") == 1  # one table
    rows = {name: next(line for line in text.splitlines() if name in line) for name in ("hand", "elbow", "wrist")}
    assert rows["hand"].index("1.000") == rows["elbow"].index("0.800")
    assert rows["wrist"].index("-0.216") == rows["elbow"].index("0.800") - 1
    assert "-.62--.12" in rows["wrist"]
    assert rows["hand"].split() == ["hand", *["1.000"] * 5]
