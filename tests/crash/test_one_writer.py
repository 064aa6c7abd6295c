"""Row R8: of many processes that start a step at once one works; it is killed, and the next one can start at once."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

from tests.cli.typed import NARROW
from tests.crash.commands import start
from tests.workshop import tiny_workspace

WORDS = ("train", "--arch", "convnet", *NARROW, "--patience", "1000")
HELD = re.compile(r"train/convnet is in use by process \d+ on \S+ since \S+: wait for it, or end that process\n")


def one_round(folder: Path, count: int) -> None:
    """Start them, see one win, end it with SIGKILL, start again."""
    workspace = tiny_workspace(folder / "w")
    words = (*WORDS, "--epochs", "1000", "-w", workspace.root)
    logs = [folder / f"log-{number}" for number in range(count)]
    processes = [start(log, *words) for log in logs]
    end = time.monotonic() + 60
    while sum(process.is_alive() for process in processes) > 1 and time.monotonic() < end:
        time.sleep(0.05)
    (winner,) = [process for process in processes if process.is_alive()]
    for process, log in zip(processes, logs, strict=True):
        if process is not winner:
            assert process.exitcode == 4, log.read_text()
            assert HELD.search(log.read_text()), log.read_text()
    status = start(folder / "status", "status", "-w", workspace.root)  # readers are not kept out
    status.join(30)
    assert status.exitcode == 0
    while "epoch 1/" not in logs[processes.index(winner)].read_text():
        time.sleep(0.05)
    assert winner.pid
    os.kill(winner.pid, signal.SIGKILL)
    winner.join(30)
    began = time.monotonic()
    again = start(folder / "again", *words)
    while "resuming after epoch" not in ((folder / "again").read_text() if (folder / "again").exists() else ""):
        assert again.is_alive(), (folder / "again").read_text()
        assert time.monotonic() - began < 15, "it does not start"
        time.sleep(0.05)
    again.terminate()
    again.join(30)
    assert again.exitcode == 143


@pytest.mark.crash
@pytest.mark.parametrize("count", [2, 8])
def test_one_of_many_writes_and_its_death_sets_the_step_free(tmp_path: Path, count: int) -> None:
    one_round(tmp_path, count)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(50))
def test_fifty_rounds(tmp_path: Path, seed: int) -> None:
    one_round(tmp_path, random.Random(seed).randint(2, 8))
