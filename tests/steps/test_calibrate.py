import json

import numpy as np
import pandas as pd
import pytest

from murace.config import Bootstrap, CalibrateConfig
from murace.errors import WorkspaceError
from murace.metrics.resampling import resamples
from murace.metrics.table import by_study, score_table
from murace.record import State, Wish, begin, examine
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
    assert roster["resamples"] == 2000
    for entry in roster["groups"].values():
        assert set(entry["stability"]) == {"convnet", "resnet", "densenet"}
        assert sum(entry["stability"].values()) == pytest.approx(1)
        assert entry["near_tie"] == (entry["stability"][entry["learner"]] < 0.6)


def test_the_stability_is_the_rule_applied_to_resampled_patients(finished: Workspace) -> None:
    frames = {name: pd.read_csv(finished.train(name).predictions) for name in ("convnet", "densenet", "resnet")}
    images = frames["convnet"].assign(**{name: frame[name] for name, frame in frames.items()})
    studies = by_study(images, list(frames), ["patient", "group", "label"])
    bootstrap, counts = Bootstrap(resamples=100), dict.fromkeys(frames, 0)
    for weights in np.concatenate(list(resamples(studies["patient"], bootstrap))).astype(int):
        drawn = studies.loc[studies.index.repeat(weights)]  # all groups at once
        scores = score_table(drawn, list(frames), ["wrist"], [Level.IMAGE]).rename(columns={"model": "learner"})
        counts[choose(scores, ["auc", "acc", "kappa"])["wrist"].learner] += 1
    entry = run(finished, bootstrap=bootstrap).roster["groups"]["wrist"]
    assert entry["stability"] == {name: count / 100 for name, count in counts.items()}


def test_other_resamples_choose_again_but_leave_the_members_current(finished: Workspace) -> None:
    done = calibrate.run(finished, CalibrateConfig(bootstrap=Bootstrap(resamples=150)), wish=Wish(), watch=Watch())
    assert not done.skipped
    assert examine(finished.finetune("wrist").folder)[0] is State.DONE


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
