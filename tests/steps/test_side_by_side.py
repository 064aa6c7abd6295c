"""Trainings side by side, in real processes: the same bits as one after the other, whatever comes between."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from murace.workspace import read, writing
from murace.workspace.paths import FitFolder, Workspace
from tests.cli.typed import MEMBER, NARROW, PYTHON, answered, environment, error_lines, typed
from tests.system.test_tasks import is_running, wait_for

CLOCK = ["seconds", "images_per_second"]
AT_ONCE = ("--side-by-side", "2")
LEARNERS = ("convnet", "resnet")
TRAIN = ("train", "--arch", ",".join(LEARNERS), *NARROW, "--patience", "1000000")
pytestmark = pytest.mark.slow


def outcome(folder: FitFolder) -> tuple[Any, ...]:
    """What must not depend on how it was trained: weights, predictions, history without its clock, record."""
    history = pd.read_csv(folder.history).drop(columns=CLOCK)
    record = read(folder.folder)
    assert record is not None
    info = {key: value for key, value in record.info.items() if key not in CLOCK}
    digests = {name: entry["sha256"] for name, entry in record.produced.items() if name != "history.csv"}
    kept = folder.model.read_bytes(), folder.predictions.read_bytes(), history.to_csv()
    return (*kept, record.params, record.consumed, record.parts, digests, info, record.seed)


def outcomes(workspace: Workspace) -> list[tuple[Any, ...]]:
    return [outcome(workspace.train(learner)) for learner in LEARNERS]


def started(*words: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PYTHON, *words], env=environment(), text=True, **pipes)


def wait_for_epochs(process: subprocess.Popen[str], *, until: int = 1) -> str:
    """What is said on stderr until each learner has finished that many epochs."""
    lines: list[str] = []
    while not all(any(line.startswith(f"{name}: epoch {until}/") for line in lines) for name in LEARNERS):
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    return "".join(lines)


@pytest.fixture
def twin(prepared: Workspace, tmp_path: Path) -> Workspace:
    """The same prepared workspace once more."""
    shutil.copytree(prepared.root, tmp_path / "twin")
    return Workspace(tmp_path / "twin")


def test_learners_have_the_bits_of_one_after_the_other(prepared: Workspace, twin: Workspace) -> None:
    words = (*TRAIN, "--epochs", "2", "-w")
    alone = answered(*words, prepared.root, "--side-by-side", "1")["learners"]
    both = typed(*words, twin.root, *AT_ONCE, "--json")
    assert both.exit_code == 0, both.output
    assert outcomes(prepared) == outcomes(twin)
    said = both.stderr.splitlines()
    assert said[0] == "2 trainings at once on the CPU, 1 thread each"
    for learner in LEARNERS:
        assert sum(line.startswith(f"{learner}: epoch 1/2  train loss ") for line in said) == 1
        assert sum(line.startswith(f"{learner}: ") for line in said) == 3  # headline and two epochs
    for one, other in zip(alone, json.loads(both.stdout)["learners"], strict=True):
        assert {k: v for k, v in one.items() if k not in CLOCK} == {k: v for k, v in other.items() if k not in CLOCK}
    again = typed(*words, twin.root, *AT_ONCE)
    assert again.stdout.count("is up to date: nothing has changed") == 2
    quiet = typed(*words, twin.root, *AT_ONCE, "--force", "--quiet")
    assert quiet.stderr == ""
    assert [line.split()[0] for line in quiet.stdout.splitlines()] == list(LEARNERS)


def test_members_have_the_bits_of_one_after_the_other(finished: Workspace, tmp_path: Path) -> None:
    shutil.copytree(finished.root, tmp_path / "twin")
    twin, words = Workspace(tmp_path / "twin"), ("finetune", *MEMBER, "--lr", "0.002", "-w")
    answered(*words, finished.root, "--side-by-side", "1")
    members = answered(*words, twin.root, *AT_ONCE)["members"]
    assert [(member["group"], member["skipped"]) for member in members] == [("elbow", False), ("wrist", False)]
    for group in ("elbow", "wrist"):
        assert outcome(finished.finetune(group)) == outcome(twin.finetune(group))
    (twin.finetune("wrist").folder / "step.json").unlink()
    members = answered(*words, twin.root, *AT_ONCE)["members"]
    assert [(member["group"], member["skipped"]) for member in members] == [("elbow", True), ("wrist", False)]
    assert outcome(finished.finetune("wrist")) == outcome(twin.finetune("wrist"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle_and_resumed_the_bits_are_the_same(
    prepared: Workspace, twin: Workspace, number: signal.Signals, code: int
) -> None:
    answered(*TRAIN, "--epochs", "12", "-w", prepared.root, "--side-by-side", "1")
    with started(*TRAIN, "--epochs", "12", "-w", str(twin.root), *AT_ONCE) as process:
        wait_for_epochs(process)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (code, "")
    assert stderr.count("stopping at the next safe point") == 1
    assert f"interrupted by {number.name}; what was done is saved. To go on: murace train" in stderr
    assert "Traceback" not in stderr
    again = typed(*TRAIN, "--epochs", "12", "-w", twin.root, *AT_ONCE)
    assert again.exit_code == 0, again.output
    for learner in LEARNERS:
        assert f"{learner}: resuming after epoch" in again.stderr
        assert f"{learner}: epoch 1/12 " not in again.stderr
    assert outcomes(prepared) == outcomes(twin)


def test_a_learner_that_somebody_else_trains_stops_the_others_too(prepared: Workspace) -> None:
    with writing(prepared.train("convnet").folder):
        result = typed(*TRAIN, "--epochs", "100000", "-w", prepared.root, *AT_ONCE)
    assert result.exit_code == 4
    (line,) = error_lines(result)
    assert line.startswith(f"{prepared.train('convnet').folder} is in use by process {os.getpid()} on ")
    assert list(prepared.train("resnet").checkpoint.glob("0*.json")), "the other one has saved its state"


def test_more_at_once_than_trainings_is_told(finished: Workspace) -> None:
    result = typed("finetune", *MEMBER, "--lr", "0.002", "-w", finished.root, "--side-by-side", "99")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:2] == [
        "warning: --side-by-side 99: there are 2 trainings to do",
        "2 trainings at once on the CPU, 1 thread each",
    ]


def test_an_unfinished_member_with_other_settings_is_refused_before_any_begins(finished: Workspace) -> None:
    folder = finished.finetune("wrist").folder
    before = finished.finetune("elbow").model.stat().st_mtime_ns
    (folder / "step.json").rename(folder / "begun.json")
    result = typed("finetune", *MEMBER, "--lr", "0.002", "-w", finished.root, *AT_ONCE)
    assert result.exit_code == 4
    assert "differs: --lr 0.001 -> 0.002" in error_lines(result)[0]
    assert finished.finetune("elbow").model.stat().st_mtime_ns == before


def workers_of(parent: int) -> dict[str, int]:
    """The processes of the learners, by the folder whose lock they have open."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = link.readlink()
            if target.name == ".lock":
                found[target.parent.name] = int(pid)
    return found


@pytest.mark.crash
def test_a_killed_training_is_told_by_name_the_other_saves_and_both_go_on(prepared: Workspace, twin: Workspace) -> None:
    answered(*TRAIN, "--epochs", "12", "-w", prepared.root, "--side-by-side", "1")
    with started(*TRAIN, "--epochs", "12", "-w", str(twin.root), *AT_ONCE) as process:
        wait_for_epochs(process, until=2)
        os.kill(workers_of(process.pid)["resnet"], signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 5
    assert stderr.splitlines()[-1] == (
        "error: the process of resnet was ended by SIGKILL (no memory left?); what was finished is saved: "
        "run the same command again to go on"
    )
    again = typed(*TRAIN, "--epochs", "12", "-w", twin.root, *AT_ONCE)
    assert again.exit_code == 0, again.output
    assert "resnet: resuming after epoch" in again.stderr
    assert outcomes(prepared) == outcomes(twin)


@pytest.mark.crash
@pytest.mark.parametrize("how", ["kill -9", "two signals"])
def test_no_training_outlives_its_parent_and_both_go_on(prepared: Workspace, twin: Workspace, how: str) -> None:
    answered(*TRAIN, "--epochs", "12", "-w", prepared.root, "--side-by-side", "1")
    with started(*TRAIN, "--epochs", "12", "-w", str(twin.root), *AT_ONCE) as process:
        wait_for_epochs(process)
        workers = workers_of(process.pid)
        if how == "kill -9":
            process.kill()
        else:
            os.kill(process.pid, signal.SIGSTOP)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            os.kill(process.pid, signal.SIGCONT)
        began = time.monotonic()
        process.wait(60)
        wait_for(lambda: not any(map(is_running, workers.values())))
        assert time.monotonic() - began < 20
    assert set(workers) == set(LEARNERS)
    again = typed(*TRAIN, "--epochs", "12", "-w", twin.root, *AT_ONCE)  # at once: no lock is left
    assert again.exit_code == 0, again.output
    assert outcomes(prepared) == outcomes(twin)


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_a_gpu_that_cannot_be_used_is_told_before_trainings_run_beside_each_other(
    command: str, finished: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The processes are told to use the CPU and say nothing: a night on it must not come as a surprise."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'CUDA Version: 9.0'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    words = NARROW if command == "train" else MEMBER
    words = [word for word in words if word not in ("--gpu", "cpu")]
    result = typed(command, *words, "--epochs", "3", *AT_ONCE, "-w", str(finished.root))
    assert result.exit_code == 0, result.output
    assert "warning: " in result.stderr
    assert "running on the CPU" in result.stderr
    assert result.stderr.index("running on the CPU") < result.stderr.index("at once on the CPU")
