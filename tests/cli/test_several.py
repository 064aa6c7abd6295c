"""Several processes as a user starts them: by torchrun, or by `--gpu 0,1`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from murace.cli import several
from murace.system.launch import STARTED, VARIABLES, launch
from murace.workspace.paths import Workspace
from tests.cli.typed import NARROW, environment, files_in, refused, typed

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "murace"]
TRAIN = ("train", "--arch", "convnet", *NARROW)
START = """
import sys
from murace.cli.display.console import running
from murace.cli.several import start
with running(several=True, stop_on="USR1" if "--stop-on" in sys.argv else None):
    sys.exit(start(2, sys.argv[1:]))
"""


def started(*words: str) -> subprocess.Popen[str]:
    """What `--gpu 0,1` does, for processes on the CPU."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", START, *words], env=environment(), text=True, **pipes)


def test_torchrun_trains_and_one_process_speaks(prepared: Workspace) -> None:
    words = [*TORCHRUN, *TRAIN, "--epochs", "2", "-w", str(prepared.root), "--json"]
    ended = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    [learner] = json.loads(ended.stdout)["learners"]
    assert learner["processes"] == 2
    assert ended.stderr.count("epoch 1/2 ") == 1
    assert list(pd.read_csv(prepared.train("convnet").history)["epoch"]) == [1, 2]


def test_a_refusal_comes_once_with_its_exit_code_and_nothing_is_left(prepared: Workspace) -> None:
    before = files_in(prepared.root)
    with started(*TRAIN, "--batch-size", "9", "-w", str(prepared.root)) as process:
        stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 2
    assert stdout == ""
    assert stderr == "error: --batch-size 9 cannot be shared equally by 2 processes: choose 8 or 10\n"
    assert files_in(prepared.root) == before


@pytest.mark.slow
def test_ctrl_c_saves_all_and_says_how_to_go_on(prepared: Workspace) -> None:
    words = (*TRAIN, "--epochs", "100000", "--patience", "100000", "-w", str(prepared.root))
    with started(*words) as process:
        while not (line := process.stderr.readline()).startswith("epoch 1/"):
            assert line
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    command = f"murace {' '.join(words)}"  # as it was typed
    assert stderr.endswith(f"interrupted by SIGINT; what was done is saved. To go on: {command}\n")
    assert "Traceback" not in stderr
    assert list(prepared.train("convnet").checkpoint.glob("0*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_cluster_that_signals_every_process_stops_all_at_a_safe_point(
    number: signal.Signals, prepared: Workspace
) -> None:
    words = (*TRAIN, "--epochs", "100000", "--patience", "100000", "-w", str(prepared.root), "--stop-on", "USR1")
    with started(*words) as process:
        while not (line := process.stderr.readline()).startswith("epoch 1/"):
            assert line
        found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        for pid in (*map(int, found.split()), process.pid):
            os.kill(pid, number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"interrupted by {number.name}; what was done is saved" in stderr
    assert "Traceback" not in stderr
    assert list(prepared.train("convnet").checkpoint.glob("0*.json"))


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_one_clear_line(prepared: Workspace) -> None:
    with started(*TRAIN, "--epochs", "100000", "--patience", "100000", "-w", str(prepared.root)) as process:
        while not (line := process.stderr.readline()).startswith("epoch 2/"):
            assert line
        second = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        victim = next(pid for pid in second.split() if b"RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes())
        subprocess.run(["kill", "-9", victim], check=True)
        began = time.monotonic()
        _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - began < 40
    assert process.returncode == 5
    assert stderr.count("error: another process of this run has ended before its time") == 1
    assert "Traceback" not in stderr
    assert sorted(path.stem for path in prepared.train("convnet").checkpoint.glob("0*.json"))[-1].endswith("-000000")


def test_torchrun_shows_help_once() -> None:
    ended = subprocess.run(
        [*TORCHRUN, "train", "--help"], env=environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.count("Train learners on all groups") == 1


@pytest.mark.slow
def test_a_killed_leading_process_is_told_by_another(prepared: Workspace) -> None:
    with started(*TRAIN, "--epochs", "100000", "--patience", "100000", "-w", str(prepared.root)) as process:
        while not (line := process.stderr.readline()).startswith("epoch 1/"):
            assert line
        pids = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        victim = next(pid for pid in pids.split() if b"RANK=0\0" in Path(f"/proc/{pid}/environ").read_bytes())
        subprocess.run(["kill", "-9", victim], check=True)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5
    assert stderr.count("error in process 1: another process of this run has ended before its time") == 1


def test_how_the_processes_are_started_is_said_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch().command == "murace"
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert launch().command == "torchrun --nproc-per-node 2 -m murace"
    monkeypatch.setenv(STARTED, "1")
    assert launch().command == "murace"


def test_a_step_for_one_process_refuses_to_be_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    line = refused(2, "calibrate", "-w", tmp_path / "w")
    assert line == "this command runs in one process: start it without torchrun"


def test_several_gpus_that_are_not_there_are_refused_before_anything_starts(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "start", lambda *given: pytest.fail("started"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda index: f"card {index}")
    line = refused(5, "train", "--gpu", "0,9", "-w", prepared.root)
    assert line == "--gpu 0,9: no such GPU; 2 visible: 0 (card 0), 1 (card 1)"


def test_several_gpus_start_as_many_processes_with_the_same_words(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr("murace.system.gpu.require_gpus", lambda numbers: None)
    monkeypatch.setattr(several, "start", lambda count, words: calls.append((count, words)) or 7)
    words = ["train", "--gpu", "3,1,2", "-w", str(prepared.root)]
    monkeypatch.setattr(sys, "argv", ["murace", *words])
    assert typed(*words).exit_code == 7
    assert calls == [(3, words)]


def test_the_process_that_starts_the_others_prints_nothing_itself(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("murace.system.gpu.require_gpus", lambda numbers: None)
    monkeypatch.setattr(several, "start", lambda count, words: 0)
    result = typed("train", "--gpu", "0,1", "-w", prepared.root, "--json")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_command_for_one_gpu_says_so(finished: Workspace, tmp_path: Path) -> None:
    study = tmp_path / "elbow"
    study.mkdir()
    line = refused(2, "cam", study, "--out", tmp_path / "out", "--gpu", "0,1", "-w", finished.root)
    assert line == "--gpu 0,1 names 2 GPUs for 1 process"
