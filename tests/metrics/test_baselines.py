import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from murace.config import Bootstrap
from murace.metrics.analysis import analyse
from murace.metrics.baselines import (
    column_of,
    in_words,
    no_better,
    with_baselines,
    with_cross_fitted_baselines,
)
from murace.metrics.table import by_study

SIZED = ["group", "group+views+size"]


def drawn(studies: int, seed: int) -> pd.DataFrame:
    """Studies of one to three views whose label hangs on the group and the number of views, two studies a patient."""
    generator = np.random.default_rng(seed)
    group, views = generator.integers(0, 3, studies), generator.integers(1, 4, studies)
    chance = 1 / (1 + np.exp(-(1.5 * group - 1.2 * views + 0.5)))
    label = (generator.random(studies) < chance).astype(int)
    rows = np.repeat(np.arange(studies), views)
    frame = pd.DataFrame({"study": [f"s{seed}-{row:04d}" for row in rows]})
    frame["patient"] = [f"p{seed}-{row // 2:04d}" for row in rows]
    frame["group"] = np.array(["elbow", "hand", "wrist"])[group[rows]]
    frame["label"], frame["site"] = label[rows], np.array(["north", "south"])[rows % 2]
    frame["width"] = 100 + 50 * label[rows] * (rows % 4 == 0) + generator.integers(0, 30, len(rows))
    frame["height"] = 200 + generator.integers(0, 30, len(rows))
    return frame


def penalised(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Newton's method on the sum of log losses + |w|^2 / 2, the intercept free: an independent reference."""
    design = np.column_stack([np.ones(len(features)), features])
    penalty = np.diag([0.0, *np.ones(features.shape[1])])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (chance - labels) + penalty @ weights
        weights -= np.linalg.solve(design.T @ (design * (chance * (1 - chance))[:, None]) + penalty, gradient)
    return weights


def facts(frame: pd.DataFrame, *, sized: bool) -> tuple[np.ndarray, np.ndarray]:
    grouped = frame.groupby("study")
    study = grouped[["group", "label"]].first()
    columns = [(study["group"] == name).to_numpy(float) for name in ("elbow", "hand", "wrist")]
    if sized:
        columns += [(grouped.size() == views).to_numpy(float) for views in (1, 2, 3)]
        columns += [grouped[name].mean().to_numpy() for name in ("width", "height")]
    return np.column_stack(columns), study["label"].to_numpy(float)


@pytest.mark.parametrize("sized", [False, True])
def test_the_probabilities_are_those_of_a_penalised_logistic_regression(sized: bool) -> None:
    known, asked = drawn(400, 1), drawn(150, 2)
    found, names = with_baselines(asked, known)
    assert names == SIZED
    (to_fit, labels), (to_ask, _) = facts(known, sized=sized), facts(asked, sized=sized)
    if sized:
        mean, deviation = to_fit[:, -2:].mean(axis=0), to_fit[:, -2:].std(axis=0)
        for part in (to_fit, to_ask):
            part[:, -2:] = (part[:, -2:] - mean) / deviation
    weights = penalised(to_fit, labels)
    expected = 1 / (1 + np.exp(-(weights[0] + to_ask @ weights[1:])))
    column = column_of(SIZED[sized])
    studies = found.groupby("study")[column]
    assert (studies.nunique() == 1).all()
    assert studies.first().to_numpy() == pytest.approx(expected, abs=1e-6)  # scikit-learn stops at a gradient of 1e-8


def test_a_slice_is_known_by_the_last_baseline_alone() -> None:
    known, asked = drawn(300, 1), drawn(150, 2)
    for frame in (known, asked):
        frame["implant"] = np.where(frame["label"] == 1, "yes", "no")
    found, names = with_baselines(asked, known, ["implant", "site"])
    assert names == [*SIZED, "group+views+size+implant+site"]
    areas = [roc_auc_score(asked["label"], found[column_of(name)]) for name in names]
    assert areas[0] < areas[1] < 0.95
    assert areas[2] > 0.99


def test_without_sizes_the_name_says_so() -> None:
    frame = drawn(100, 1).drop(columns=["width", "height"])
    assert with_baselines(frame, frame)[1] == ["group", "group+views"]
    assert in_words("group+views") == "group, views"


def test_a_group_that_nothing_is_known_of_is_the_average() -> None:
    known, asked = drawn(300, 1), drawn(150, 2)
    found, _ = with_baselines(asked.assign(group="hip"), known)
    (chance,) = set(found[column_of("group")])
    assert chance == pytest.approx(by_study(known, [])["label"].mean(), abs=0.08)


def test_studies_of_one_label_alone_teach_the_share(recwarn: pytest.WarningsRecorder) -> None:
    known = drawn(50, 1).assign(label=1)
    found, names = with_baselines(drawn(20, 2), known)
    assert (found[[column_of(name) for name in names]] == 1).all(axis=None)
    assert not recwarn


def test_cross_fitting_asks_no_other_study_of_the_same_patient() -> None:
    """Who learns the patient's name by heart is right about everybody seen before, and knows nothing of the others."""
    frame = drawn(400, 3).drop(columns=["width", "height"])  # which know the label
    frame["label"] = frame["patient"].map(lambda name: int(name[-1]) % 2)  # the same for both studies of a patient
    frame["name"] = frame["patient"]
    seen, names = with_baselines(frame, frame, ["name"])
    assert roc_auc_score(frame["label"], seen[column_of(names[-1])]) > 0.99
    found, _ = with_cross_fitted_baselines(frame, ["name"])
    assert roc_auc_score(frame["label"], found[column_of(names[-1])]) < 0.6


def test_too_few_patients_of_a_label_have_no_baseline() -> None:
    frame = drawn(30, 1)
    lone = frame.assign(label=(frame["patient"] == frame["patient"].iloc[0]).astype(int))
    images, names = with_cross_fitted_baselines(lone)
    assert names == []
    assert images.equals(lone)


def test_the_analysis_pairs_every_model_with_every_baseline() -> None:
    known, asked = drawn(400, 1), drawn(300, 2)
    noise = np.random.default_rng(0).random(len(asked))
    asked["good"], asked["blind"] = (asked["label"] * 2 + noise) / 3, noise
    images, baselines = with_baselines(asked, known)
    found = analyse(images, ["good", "blind"], groups=["hand"], baselines=baselines, bootstrap=Bootstrap(resamples=200))
    assert list(found.baselines.columns) == ["level", "features", "group", "metric", "value", "low", "high"]
    assert list(dict.fromkeys(found.baselines["features"])) == SIZED
    assert set(found.scores["model"]) == {"good", "blind"}
    studies = images.groupby("study")[["label", column_of("group")]].first()
    row = found.baselines.set_index(["level", "features", "group", "metric"]).loc[("study", "group", "overall", "auc")]
    assert row["value"] == pytest.approx(roc_auc_score(studies["label"], studies[column_of("group")]), abs=1e-12)
    pairs = set(zip(found.comparisons["model"], found.comparisons["reference"], strict=True))
    assert pairs == {("blind", "good"), *((model, column_of(name)) for model in ("good", "blind") for name in SIZED)}
    assert no_better(found.comparisons) == {"group+views+size": ["blind"]}


def test_equal_probabilities_of_a_study_stay_equal_after_their_mean() -> None:
    """The mean of three times 0.1 is not 0.1: studies of one group would no longer be tied."""
    frame = drawn(200, 1)
    images, baselines = with_baselines(frame, drawn(200, 2))
    found = analyse(images.assign(m=0.5), ["m"], groups=[], baselines=baselines, bootstrap=Bootstrap(resamples=100))
    studies = images.groupby("study")[["label", "group"]].first()
    rates = images.groupby("group")[column_of("group")].first()
    expected = roc_auc_score(studies["label"], studies["group"].map(rates))
    rows = found.baselines.set_index(["level", "features", "group", "metric"])["value"]
    assert rows[("study", "group", "overall", "auc")] == pytest.approx(expected, abs=1e-12)
