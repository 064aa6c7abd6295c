"""`murace score`: any csv of predictions, scored as evaluate scores its own; a bad one is refused in a line."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from murace.cli.commands.guide import read_page
from murace.data.store import read_frame
from murace.vocabulary import MEASURES
from murace.workspace.paths import Workspace
from tests.cli.typed import answered, done, files_in, refused
from tests.data.tables.test_predictions import GOOD, REFUSED

KEYS = ["level", "model", "group", "metric"]
FEW = ("--resamples", "100")
TABLES = {
    "scores": ["level", "model", "group", "metric", "value", "low", "high", "change"],
    "support": ["level", "group", "patients", "cases", "abnormal", "small"],
    "intervals": ["level", "model", "group", "metric", "resamples", "undefined"],
    "comparisons": [
        "level",
        "group",
        "model",
        "reference",
        "metric",
        "test",
        "difference",
        "low",
        "high",
        "p",
        "p_holm",
        "undefined",
    ],
    "baselines": ["level", "features", "group", "metric", "value", "low", "high"],
    "calibration": ["model", "group", "stage", "metric", "value", "low", "high", "undefined"],
    "reliability": ["model", "stage", "bin", "cases", "mean", "observed", "low", "high"],
    "benefit": ["model", "threshold", "net_benefit"],
    "roc": ["level", "model", "fpr", "tpr", "threshold"],
}


def images(models: list[str], *, studies: int = 120, seed: int = 0) -> pd.DataFrame:
    """Random views of random studies of random patients, and models that know something."""
    chance = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), chance.integers(1, 5, studies))
    label = chance.integers(0, 2, studies)[study]
    names = {"patient": [f"p{number // 2}" for number in study], "study": [f"s{number}" for number in study]}
    frame = pd.DataFrame({"path": [f"{view}.png" for view in range(len(study))], **names})
    frame["group"], frame["label"] = np.array(["elbow", "hand", "wrist"])[study % 3], label
    frame["maker"] = np.array(["GE", "Philips"])[study % 2]
    for model in models:
        frame[model] = np.round(1 / (1 + np.exp(-chance.normal(label - 0.5, 1.5))), 2)  # rounded: with ties
    return frame


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the csv stands, which is also the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "predictions.csv"


@pytest.mark.parametrize("level", ["study", "image"])
def test_the_scores_are_scikit_learns(level: str, path: Path) -> None:
    frame = images(["mine", "theirs"])
    frame.to_csv(path, index=False)
    rows = pd.DataFrame(answered("score", path, "--slice", "maker", *FEW)["scores"])
    rows = rows[rows["level"] == level].set_index(["model", "group", "metric"])["value"]
    if level == "study":
        frame = frame.groupby("study", as_index=False).agg(
            {"group": "first", "label": "first", "mine": "mean", "theirs": "mean"}
        )
    for group in ("overall", "elbow", "hand", "wrist"):
        part = frame if group == "overall" else frame[frame["group"] == group]
        for model in ("mine", "theirs"):
            for name, value in by_scikit_learn(part["label"], part[model]).items():
                assert rows[model, group, name] == pytest.approx(value, abs=1e-12), (model, group, name)


def by_scikit_learn(label: pd.Series, chance: pd.Series) -> dict[str, float]:
    decided = (chance >= 0.5).astype(int)
    return {
        "auc": metrics.roc_auc_score(label, chance),
        "average_precision": metrics.average_precision_score(label, chance),
        "brier": metrics.brier_score_loss(label, chance),
        "accuracy": metrics.accuracy_score(label, decided),
        "precision": metrics.precision_score(label, decided),
        "recall": metrics.recall_score(label, decided),
        "specificity": metrics.recall_score(label, decided, pos_label=0),
        "npv": metrics.precision_score(label, decided, pos_label=0),
        "f1": metrics.f1_score(label, decided),
        "mcc": metrics.matthews_corrcoef(label, decided),
        "kappa": metrics.cohen_kappa_score(label, decided),
    }


def test_json_is_one_object_with_every_table(path: Path) -> None:
    images(["convnet", "mine", "theirs"]).to_csv(path, index=False)
    before = files_in(path.parent)
    result = done("score", path, "--slice", "maker", "--json", "--quiet", *FEW)
    assert result.stdout.count("\n") == 1
    told = json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert (told["schema"], told["command"], told["models"]) == (1, "score", ["convnet", "mine", "theirs"])
    assert {name: list(told[name][0]) for name in TABLES} == TABLES
    assert {row["metric"] for row in told["scores"]} == set(MEASURES)
    assert len(told["scores"]) == 2 * 3 * 4 * len(MEASURES)
    assert {row["slice"] for row in told["slices"]} == {"maker", "views"}
    assert files_in(path.parent) == before
    assert answered("score", path, "--slice", "maker", *FEW)["scores"] == told["scores"]
    assert answered("score", path, "--slice", "maker", *FEW, "--seed", 1)["scores"] != told["scores"]


def test_our_own_predictions_are_scored_as_evaluate_scored_them(finished: Workspace) -> None:
    resamples = read_frame(finished.evaluate.table("intervals"))["resamples"].max()
    told = answered("score", finished.evaluate.predictions, "--resamples", resamples)
    ours = read_frame(finished.evaluate.scores).sort_values(KEYS, ignore_index=True)
    theirs = pd.DataFrame(told["scores"]).sort_values(KEYS, ignore_index=True)
    assert told["models"] == ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
    pd.testing.assert_frame_equal(theirs, ours, check_dtype=False, atol=1e-9)
    assert {row["stage"] for row in told["calibration"]} == {"raw", "calibrated"}


def test_one_class_is_undefined_and_no_error(path: Path) -> None:
    path.write_text("label,m\n1,0.9\n1,0.2\n1,0.7\n")
    scores = {row["metric"]: row["value"] for row in answered("score", path, *FEW)["scores"]}
    assert scores["auc"] is scores["kappa"] is scores["specificity"] is None
    assert scores["recall"] == pytest.approx(2 / 3)
    assert " - " in done("score", path, *FEW).stdout


def test_what_must_be_said_is_a_warning(path: Path) -> None:
    path.write_text("label,m\n1,0.9\n0,0.2\n1,0.7\n")
    lines = done("score", path, "--quiet", *FEW).stderr.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    for words in ("no patient column", "no study column", "no group column", "too small to say much"):
        assert sum(words in line for line in lines) == 1, words
    images(["mine"], studies=400).to_csv(path, index=False)
    assert done("score", path, "--models", "mine", "--slice", "maker", "--quiet", *FEW).stderr == ""


def test_the_tables_fit_a_hundred_columns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
    images(models, studies=300).to_csv(path, index=False)
    monkeypatch.setenv("COLUMNS", "100")
    text = done("score", path, "--slice", "maker", *FEW).stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for title in (
        "Scores by study",
        "Scores by image",
        "Differences by study",
        "Probabilities by study",
        "Slices by study",
    ):
        assert title in text
    for name in (*models[:3], "calibrated", "elbow", "overall", "Philips", "4 or more", "slope", "ece"):
        assert name in text


NAMES = [
    "<script>alert(1)</script>",
    "[red]x[/red]",
    "{{ 7 * 7 }}",
    "a,b",
    "a model with a very long name indeed",
]


def test_a_models_name_is_shown_as_it_is_and_does_nothing(path: Path) -> None:
    images(NAMES).to_csv(path, index=False)
    told = answered("score", path, "--slice", "maker", *FEW)
    assert told["models"] == NAMES
    shown = done("score", path, "--slice", "maker", *FEW).output
    assert "\x1b" not in shown
    squeezed = "".join(shown.split())
    for name in ("[red]x[/red]", "{{ 7 * 7 }}"):
        assert name.replace(" ", "") in squeezed
    chosen = answered("score", path, "--models", "a,b", "--models", NAMES[0], "--slice", "maker", *FEW)
    assert chosen["models"] == ["a,b", NAMES[0]]


def test_a_slices_value_cannot_steer_the_terminal(path: Path) -> None:
    images(["mine"]).replace({"maker": {"GE": "\x1b[31m[red]GE"}}).to_csv(path, index=False)
    line = refused(3, "score", path, "--slice", "maker", *FEW)
    assert "column maker (line 2: a control character" in line
    assert "\x1b" not in line
    images(["mine"]).replace({"maker": {"GE": "[red]<b>GE"}}).to_csv(path, index=False)
    assert "[red]<b>GE" in done("score", path, "--slice", "maker", *FEW).stdout


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_exit_code_3(case: str, path: Path) -> None:
    text, word = REFUSED[case]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = files_in(path.parent)
    line = refused(3, "score", path, *FEW)
    assert word.replace("\\", "") in line.replace("\\", "")
    assert files_in(path.parent) == before


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--models", "mine,thiers"], "'theirs'"),
        (["--slice", "makr"], "'makr'"),
        (["--slice", "study"], "'study'"),
        (["--resamples", "1"], "--resamples"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_words_that_mean_nothing_are_usage(words: list[str], hint: str, path: Path) -> None:
    path.write_text(GOOD)
    assert hint in refused(2, "score", path, *words)


def test_a_file_that_is_not_there_is_data(path: Path) -> None:
    assert "predictions.csv" in refused(3, "score", path)
    assert "is not a regular file" in refused(3, "score", path.parent)
    assert "PREDICTIONS" in refused(2, "score")


@pytest.mark.parametrize("words", [("--resamples", 99), ("--resamples", 100_001), ("--seed", -1)])
def test_resamples_and_seed_have_bounds(words: tuple[str, int], path: Path) -> None:
    images(["mine"]).to_csv(path, index=False)
    assert refused(2, "score", path, "--slice", "maker", *words).startswith(f"{words[0]} must be")


def test_the_example_of_the_guide_is_scored(path: Path) -> None:
    page = read_page("score").text
    (example,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    path.write_text(example)
    typed_there = [shlex.split(line)[1:] for line in re.findall(r"^murace score .*$", page, re.MULTILINE)]
    assert len(typed_there) == 2
    for words in typed_there:
        told = answered(*[word for word in words if word != "--json"], *FEW)
        assert told["models"] == ["mine", "theirs"]
    assert told["support"][0] | {"small": None} == {
        "level": "study", "group": "overall", "patients": 2, "cases": 2, "abnormal": 1, "small": None,
    }  # fmt: skip
