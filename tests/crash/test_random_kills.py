"""Row R1: `kill -9` of the real command at random moments: no finished epoch is lost, and no bit is another."""

import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from murace.workspace.paths import Workspace
from tests.cli.typed import NARROW, PYTHON, done, environment
from tests.steps.test_train import assert_same, outcome
from tests.workshop import tiny_workspace

EPOCHS = 16
WORDS = ("train", "--arch", "convnet", *NARROW, "--epochs", str(EPOCHS), "--patience", str(EPOCHS))
LONGEST = 0.25  # seconds between an epoch's line and the kill; an epoch of these takes about a tenth


class Life:
    """The command until it ends or is killed: where it went on from, and which epoch it finished last."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.resumed, self.finished, self.is_killed = 0, 0, False
        command = [*PYTHON, *WORDS, "-w", str(root)]
        pipe, same = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(command, env=environment(), text=True, stdout=pipe, stderr=same) as process:
            assert process.stdout is not None
            lives = draw.randint(1, 4)
            for line in process.stdout:
                self._hear(line)
                lives -= line.startswith("epoch ")
                if not lives:
                    time.sleep(draw.uniform(0, LONGEST))
                    process.send_signal(signal.SIGKILL)
                    break
            rest = process.stdout.read()
            for line in rest.splitlines():
                self._hear(line)
        self.is_killed = process.returncode == -signal.SIGKILL
        assert self.is_killed or process.returncode == 0, rest

    def _hear(self, line: str) -> None:
        if (found := re.match(r"resuming after epoch (\d+)", line)) is not None:
            self.resumed = int(found[1])
        if line.startswith("convnet is up to date"):  # the kill came after the last record, before the process' end
            self.resumed = EPOCHS
        if (found := re.match(rf"epoch (\d+)/{EPOCHS}  train loss", line)) is not None:
            self.finished = int(found[1])


def lives(root: Path, draw: random.Random) -> Iterator[Life]:
    """One life after the other until the training is finished."""
    while True:
        life = Life(root, draw)
        yield life
        if not life.is_killed:
            return


def survive(folder: Path, kills: int, seed: int) -> None:
    """So many kills, in as many trainings as it takes."""
    draw, whole = random.Random(seed), tiny_workspace(folder / "whole")
    done(*WORDS, "-w", whole.root)
    count = chains = 0
    while count < kills:
        workspace = tiny_workspace(folder / f"chain-{chains}")
        resumes, known = 0, 0
        for life in lives(workspace.root, draw):
            assert life.resumed >= known, f"seed {seed}, chain {chains}: epoch {known} was finished and is lost"
            resumes += life.resumed > 0
            known = max(known, life.finished)
            count += life.is_killed
        assert resumes, f"seed {seed}, chain {chains}: nothing was ever resumed, so nothing is shown"
        assert_same(outcome(whole), outcome(workspace))
        shutil.rmtree(workspace.root)
        chains += 1


@pytest.mark.crash
def test_twenty_kills_lose_no_epoch_and_no_bit(tmp_path: Path) -> None:
    survive(tmp_path, 20, seed=1)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_kills_lose_no_epoch_and_no_bit(tmp_path: Path, seed: int) -> None:
    survive(tmp_path, 20, seed=100 + seed)


def test_an_epoch_is_announced_after_it_is_saved(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person has read is on the disk."""
    from murace.training import saver
    from tests.cli.typed import typed

    def full(*given: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(saver, "save_state", full)
    said = typed(*WORDS, "-w", prepared.root).stderr
    assert "convnet: " in said
    assert "epoch 1/" not in said
