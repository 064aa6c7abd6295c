import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch

from murace.config import Bootstrap, CalibrateConfig, Machine
from murace.data.store import open_pixels, read_index
from murace.errors import Interrupted, MachineError, WorkspaceError
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.recogniser.file import load_group_model
from murace.metrics.resampling import resamples
from murace.metrics.selection import choose
from murace.metrics.table import by_study, score_table
from murace.steps.calibrate import step as calibrate
from murace.steps.calibrate.inputs import Calibrated
from murace.steps.train import step as train
from murace.system.progress import Bar, Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import Level
from murace.workspace import Rerun, State, begin, examine, read
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_config, tiny_workspace


def run(workspace: Workspace, rerun: Rerun = Rerun(), **config: object) -> Calibrated:  # noqa: B008
    return calibrate.run(workspace, CalibrateConfig(**config), machine=CPU, rerun=rerun, reporter=Reporter())


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
        scores = score_table(drawn, list(frames), ["wrist"]).rename(columns={"model": "learner"})
        counts[choose(scores[scores["level"] == Level.IMAGE], ["auc", "acc", "kappa"])["wrist"].learner] += 1
    entry = run(finished, bootstrap=bootstrap).roster["groups"]["wrist"]
    assert entry["stability"] == {name: count / 100 for name, count in counts.items()}


def test_other_resamples_choose_again_but_leave_the_members_current(finished: Workspace) -> None:
    done = run(finished, bootstrap=Bootstrap(resamples=150))
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
    train.run(prepared, tiny_config(), machine=CPU, rerun=Rerun(), reporter=Reporter())
    done = run(prepared)
    assert {entry["learner"] for entry in done.roster["groups"].values()} == {"convnet"}


def test_the_recogniser_knows_the_groups_of_pictures_it_has_not_seen(finished: Workspace) -> None:
    recogniser = WorkspaceEnsemble(finished, torch.device("cpu")).recogniser()
    assert recogniser is not None
    index, pixels = read_index(finished.prepare.index), open_pixels(finished.prepare.pixels)
    net, test = recogniser.trained.net(), index[index["split"] == "test"]
    found = recogniser.features(net, pixels[test["row"].to_numpy()])
    likeliest = [recogniser.recognise(row[None]).likeliest for row in found]
    assert np.mean([name == group for name, group in zip(likeliest, test["group"], strict=True)]) > 0.7  # chance is 0.5
    black = np.zeros((1, *pixels.shape[1:]), np.uint8)
    assert recogniser.recognise(recogniser.features(net, black)).group is None


def test_the_recogniser_is_fitted_on_training_and_checked_on_validation_images(finished: Workspace) -> None:
    done = run(finished)
    assert done.recogniser is not None
    index = read_index(finished.prepare.index)
    validation = index[index["split"] == "validation"]
    counts = {level: found["overall"].count for level, found in done.recogniser.accuracy.items()}
    assert counts == {"image": len(validation), "study": validation["study"].nunique()}
    assert done.recogniser.learner == "resnet"
    record = read(finished.calibrate.folder)
    assert record is not None
    assert "recogniser.safetensors" in record.produced
    assert {"prepare/pixels.npy", "train/resnet/model.safetensors"} <= set(record.consumed)
    assert done.recogniser.weights_sha256 == record.consumed["train/resnet/model.safetensors"]


def test_the_same_data_give_the_same_bytes_and_leave_the_members_current(finished: Workspace) -> None:
    before = finished.calibrate.recogniser.read_bytes()
    assert not run(finished, Rerun(force=True)).skipped
    assert finished.calibrate.recogniser.read_bytes() == before
    assert examine(finished.finetune("elbow").folder)[0] is State.DONE
    assert examine(finished.evaluate.folder)[0] is State.DONE


def test_a_choice_made_before_there_was_a_recogniser_gets_one(finished: Workspace) -> None:
    path = finished.calibrate.folder / "step.json"
    record = read_sealed(path)
    del record["produced"]["recogniser.safetensors"], record["consumed"]["prepare/pixels.npy"]
    write_sealed(path, record)
    finished.calibrate.recogniser.unlink()
    ensemble = WorkspaceEnsemble(finished, torch.device("cpu"))
    with pytest.raises(WorkspaceError, match=r"has made no recogniser of groups yet\. Run: murace calibrate$"):
        ensemble.recogniser()
    assert not run(finished).skipped
    assert WorkspaceEnsemble(finished, torch.device("cpu")).recogniser() is not None
    assert examine(finished.finetune("elbow").folder)[0] is State.DONE


def test_a_lost_or_rotten_recogniser_is_made_again(finished: Workspace) -> None:
    before = finished.calibrate.recogniser.read_bytes()
    finished.calibrate.recogniser.unlink()
    assert not run(finished).skipped
    assert finished.calibrate.recogniser.read_bytes() == before
    finished.calibrate.recogniser.write_bytes(before[:-8])
    with pytest.raises(WorkspaceError, match="Run: murace calibrate"):
        WorkspaceEnsemble(finished, torch.device("cpu")).recogniser()
    run(finished)
    assert finished.calibrate.recogniser.read_bytes() == before


def test_one_group_has_no_recogniser_and_an_old_one_goes(prepared: Workspace) -> None:
    shutil.rmtree(prepared.root)
    tiny_workspace(prepared.root, groups=("elbow",))
    train.run(prepared, tiny_config(epochs=1), machine=CPU, rerun=Rerun(), reporter=Reporter())
    prepared.calibrate.folder.mkdir()
    prepared.calibrate.recogniser.write_bytes(b"old")
    done = run(prepared)
    assert done.recogniser is None
    assert not prepared.calibrate.recogniser.exists()
    assert run(prepared).skipped
    assert WorkspaceEnsemble(prepared, torch.device("cpu")).recogniser() is None


class Impatient(Reporter):
    """Stops as soon as the recogniser has looked at a few pictures."""

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        if title == "recogniser":
            assert total > 0
            self.signum = 2
        yield Bar()


def test_an_interrupted_run_leaves_no_half_and_is_made_up_for(finished: Workspace) -> None:
    before = finished.calibrate.recogniser.read_bytes()
    with pytest.raises(Interrupted):
        calibrate.run(finished, CalibrateConfig(), machine=CPU, rerun=Rerun(force=True), reporter=Impatient())
    assert examine(finished.calibrate.folder)[0] is State.PARTIAL
    assert finished.calibrate.recogniser.read_bytes() == before
    assert not run(finished).skipped
    assert finished.calibrate.recogniser.read_bytes() == before
    assert load_group_model(finished.calibrate.recogniser).groups == ("elbow", "wrist")


def test_a_gpu_that_is_not_there_comes_before_a_workspace_that_is_not(prepared: Workspace) -> None:
    with pytest.raises(MachineError, match="--gpu 99"):
        calibrate.run(prepared, CalibrateConfig(), machine=Machine(gpu="99"), rerun=Rerun(), reporter=Reporter())
