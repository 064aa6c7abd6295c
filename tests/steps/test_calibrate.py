import json

import pandas as pd
import pytest

from murace.config import CalibrateConfig
from murace.errors import WorkspaceError
from murace.record import Wish, begin
from murace.selection import choose
from murace.steps import calibrate, train
from murace.vocabulary import Level
from murace.watch import Watch
from murace.workspace import Workspace
from tests.workshop import CPU, tiny_config


def run(workspace: Workspace, wish: Wish = Wish(), **config: object) -> calibrate.Calibrated:  # noqa: B008
    return calibrate.run(workspace, CalibrateConfig(**config), wish=wish, watch=Watch())


def test_the_roster_is_the_rule_applied_to_the_scores(finished: Workspace) -> None:
    done = run(finished)
    assert done.skipped
    scores = pd.read_csv(finished.calibrate.scores)
    assert list(scores.columns) == ["level", "learner", "group", "metric", "value"]
    assert len(scores) == 2 * 3 * 3 * 5
    roster = json.loads(finished.calibrate.roster.read_text())
    expected = choose(scores[scores["level"] == "study"], ["auc", "accuracy", "kappa"])
    assert roster["metrics"] == ["auc", "accuracy", "kappa"]
    assert roster["level"] == "study"
    assert {group: entry["learner"] for group, entry in roster["groups"].items()} == {
        group: choice.learner for group, choice in expected.items()
    }
    for entry in roster["groups"].values():
        assert {"learner", "votes", "tie"} <= set(entry)


def test_scores_are_those_of_the_validation_predictions(finished: Workspace) -> None:
    predictions = pd.read_csv(finished.train("resnet").predictions)
    decided = (predictions["resnet"] >= 0.5).astype(int)
    scores = pd.read_csv(finished.calibrate.scores).set_index(["level", "learner", "group", "metric"])["value"]
    assert scores["image", "resnet", "overall", "accuracy"] == pytest.approx((decided == predictions["label"]).mean())


def test_other_metrics_or_another_level_choose_again(finished: Workspace) -> None:
    done = run(finished, metrics=("recall",), level=Level.IMAGE)
    assert not done.skipped
    assert done.roster["level"] == "image"
    assert all(sum(entry["votes"].values()) >= 1 for entry in done.roster["groups"].values())


def test_an_unfinished_learner_is_left_out_and_named(finished: Workspace) -> None:
    begin(finished.train("densenet").folder, "train", {}, {})
    done = run(finished)
    assert "densenet is left out" in done.notes[0]
    assert "murace train --arch densenet" in done.notes[0]
    assert {entry["learner"] for entry in done.roster["groups"].values()} <= {"convnet", "resnet"}


def test_without_a_learner_it_names_the_command(prepared: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"no trained learner in .*Run: murace train --arch all"):
        run(prepared)


def test_a_damaged_learner_is_refused(finished: Workspace) -> None:
    path = finished.train("resnet").predictions
    path.write_text(path.read_text().replace("0.", "0.1", 1))
    with pytest.raises(WorkspaceError, match=r"train/resnet in .* is damaged.*Run: murace train --arch resnet"):
        run(finished)


def test_one_learner_alone_serves_everyone(prepared: Workspace) -> None:
    train.run(prepared, tiny_config(), machine=CPU, wish=Wish(), watch=Watch())
    done = run(prepared)
    assert {entry["learner"] for entry in done.roster["groups"].values()} == {"convnet"}
