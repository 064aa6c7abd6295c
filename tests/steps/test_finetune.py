import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from murace.config import CalibrateConfig
from murace.data.loading.batches import Images
from murace.data.store import open_pixels, read_index
from murace.errors import UsageError, WorkspaceError
from murace.nets.forward import logits_of, probabilities
from murace.nets.weights import load_model
from murace.steps import calibrate
from murace.steps.finetune import step as finetune
from murace.steps.finetune.inputs import Finetuned
from murace.system.device import Place
from murace.system.progress import Reporter
from murace.training import split_arrays, study_scores
from murace.vocabulary import Metric
from murace.workspace import Rerun, State, examine, read
from murace.workspace.paths import Workspace
from tests.workshop import CPU, tiny_members

CPU_PLACE = Place(torch.device("cpu"), "fp32")


def run(
    workspace: Workspace, groups: tuple[str, ...] = (), *, fresh: bool = False, **recipe: object
) -> list[Finetuned]:
    rerun = Rerun(resume=False if fresh else None)
    return finetune.run(workspace, tiny_members(**recipe), groups=groups, machine=CPU, rerun=rerun, reporter=Reporter())


def validation_auc(workspace: Workspace, model: str, group: str) -> float:
    index = read_index(workspace.prepare.index)
    images = index[(index["group"] == group) & (index["split"] == "validation")]
    part = split_arrays(images, {group: (0.5, 0.5)})
    net = load_model(workspace.root / model / "model.safetensors")
    source = Images(open_pixels(workspace.prepare.pixels), part.rows, CPU_PLACE.device)
    logits = logits_of(net, source, part.rows, place=CPU_PLACE, reporter=Reporter())
    return study_scores(part, probabilities(logits))[Metric.AUC]


def test_a_member_per_group_from_its_learners_weights(finished: Workspace) -> None:
    done = run(finished)
    assert [item.group for item in done] == ["elbow", "wrist"]
    assert all(item.skipped for item in done)
    for item in done:
        history = pd.read_csv(finished.finetune(item.group).history)
        assert list(history["epoch"]) == [0, 1]
        assert np.isnan(history["train_loss"][0])


def test_never_worse_on_validation_than_the_learner(finished: Workspace) -> None:
    for item in run(finished, fresh=True, epochs=2, lr=0.5):  # far too high: the first weights must win
        before = validation_auc(finished, f"train/{item.learner}", item.group)
        assert validation_auc(finished, f"finetune/{item.group}", item.group) >= before


def test_a_hopeless_rate_keeps_the_unspecialised_weights(finished: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("murace.training.epoch.study_scores", lambda part, chance: dict.fromkeys(Metric, float("nan")))
    monkeypatch.setattr("murace.training.epoch._rank", lambda value, loss: (0.0, 0.0))
    (item,) = run(finished, ("elbow",), fresh=True, epochs=2)
    ours = load_file(finished.finetune("elbow").model)
    theirs = load_file(finished.train(item.learner).model)
    assert item.info["best_epoch"] == 0
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_only_the_groups_asked_for(finished: Workspace) -> None:
    assert [item.group for item in run(finished, ("wrist",), epochs=2)] == ["wrist"]
    record = read(finished.finetune("elbow").folder)
    assert record is not None
    assert record.params["epochs"] == 1


def test_an_unknown_group_gets_the_closest_name(finished: Workspace) -> None:
    with pytest.raises(UsageError, match="unknown group 'elbo'; did you mean 'elbow'"):
        run(finished, ("elbo",))


def test_without_a_roster_it_names_the_command(prepared: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"calibrate in .* is missing. Run: murace calibrate"):
        run(prepared)


def test_another_choice_makes_only_that_member_stale(finished: Workspace) -> None:
    before = calibrate.run(finished, CalibrateConfig(), machine=CPU, rerun=Rerun(), reporter=Reporter()).roster[
        "groups"
    ]
    changed = None
    for metrics in (("recall",), ("precision",), ("accuracy", "recall"), ("auc",)):
        config = CalibrateConfig(metrics=metrics)
        after = calibrate.run(finished, config, machine=CPU, rerun=Rerun(), reporter=Reporter()).roster["groups"]
        changed = {group for group in after if after[group]["learner"] != before[group]["learner"]}
        for group in after:
            expected = State.STALE if group in changed else State.DONE
            assert examine(finished.finetune(group).folder)[0] is expected
