"""What murace says to type does what it is said to do: the same again, with the settings that a step had."""

import shlex
import shutil

import pytest

from murace.config import Bootstrap, CalibrateConfig, EvaluateConfig, PrepareConfig, params
from murace.steps.calibrate import step as calibrate
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS, Level, Metric
from murace.workspace import Rerun, begin
from murace.workspace.commands import command
from murace.workspace.paths import Workspace
from tests.cli.typed import answered
from tests.workshop import CPU, GROUPS, SIZE

PLACES = [*(f"train/{name}" for name in LEARNERS), *(f"finetune/{group}" for group in GROUPS), "evaluate"]


@pytest.mark.parametrize("place", PLACES)
def test_typed_as_it_is_said_a_finished_step_is_up_to_date(finished: Workspace, place: str) -> None:
    before = (finished.root / place / "step.json").read_bytes()
    words = command(finished, place).split()
    assert words[:2] == ["murace", place.partition("/")[0]]
    answered(*words[1:], "--gpu", "cpu", "-w", finished.root)
    assert (finished.root / place / "step.json").read_bytes() == before


def test_a_choice_too(finished: Workspace) -> None:
    choice = CalibrateConfig(metrics=(Metric.KAPPA, Metric.AUC), level=Level.IMAGE, bootstrap=Bootstrap(resamples=200))
    calibrate.run(finished, choice, machine=CPU, rerun=Rerun(), reporter=Reporter())
    before = (finished.calibrate.folder / "step.json").read_bytes()
    words = command(finished, "calibrate")
    assert words == "murace calibrate --val-metrics kappa,auc --level image --resamples 200"
    answered(*words.split()[1:], "-w", finished.root)
    assert (finished.calibrate.folder / "step.json").read_bytes() == before


def test_the_columns_to_slice_by_are_repeated_and_quoted(finished: Workspace) -> None:
    folder = finished.evaluate.folder
    shutil.rmtree(folder)
    folder.mkdir()
    begin(folder, "evaluate", params(EvaluateConfig(slice=("the views", "sex"))), {})
    assert command(finished, "evaluate") == "murace evaluate --slice 'the views' --slice sex"


def test_what_somebody_else_wrote_into_a_record_does_nothing_in_a_shell(finished: Workspace) -> None:
    """A seal says that a record is whole, not who wrote it; and what is shown here is copied into a terminal."""
    hostile = {"epochs": ["$(touch x)", 3], "lr": "0.1; touch x", "learner": ["x"], "batch_size": {"`x`": None}}
    begin(finished.finetune("wrist").folder, "finetune/wrist", hostile, {})
    words = ["--epochs", "$(touch x),3", "--lr", "0.1; touch x", "--batch-size", "{'`x`': None}"]
    said = command(finished, "finetune/wrist")
    assert shlex.split(said) == ["murace", "finetune", "--groups", "wrist", *words]
    begin(finished.evaluate.folder, "evaluate", {"slice": 3}, {})
    assert command(finished, "evaluate") == "murace evaluate --slice 3"
    assert command(finished, "finetune/a b") == "murace finetune --groups 'a b'"


def test_an_unfinished_run_tells_its_own_settings_and_without_a_record_there_are_none(prepared: Workspace) -> None:
    folder = prepared.prepare.folder
    assert command(prepared, "prepare") == f"murace prepare SOURCE --size {SIZE}"
    begin(folder, "prepare", params(PrepareConfig(size=32, fit="pad")), {})
    assert command(prepared, "prepare") == "murace prepare SOURCE --size 32 --fit pad"
    assert command(prepared, "train/resnet") == "murace train --arch resnet"
    prepared.train("resnet").folder.mkdir(parents=True)
    (prepared.train("resnet").folder / "step.json").write_text("half")
    assert command(prepared, "train/resnet") == "murace train --arch resnet"
    assert command(prepared, "calibrate") == "murace calibrate"
