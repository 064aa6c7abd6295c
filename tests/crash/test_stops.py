"""Row R5: SIGINT and SIGTERM at random moments of every step, once or twice: it stops, and goes on."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from murace.config import Bootstrap
from tests.cli.typed import CPU, NARROW
from tests.crash.commands import start
from tests.crash.conftest import Stand
from tests.crash.steps import results

MEMBERS = (*CPU, "--precision", "fp32", "--batch-size", "8", "--lr", "0.001", "--epochs", "2")
WORDS = {
    "prepare": ("prepare", "MANIFEST", "--size", "64", "--jobs", "1"),
    "train": ("train", "--arch", "convnet", *NARROW, "--epochs", "3"),
    "calibrate": ("calibrate", *CPU),
    "finetune": ("finetune", "--groups", "elbow", *MEMBERS),
    "evaluate": ("evaluate", "--resamples", str(Bootstrap(resamples=100).resamples), *CPU),
}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
LATEST = 10  # seconds from the signal to the end


def words_of(step: str, base: Path) -> list[str]:
    return [str(base.parent / "manifest.csv") if word == "MANIFEST" else word for word in WORDS[step]]


def stop(stand: Stand, step: str, draw: random.Random, span: float, *, twice: bool) -> bool:
    """Stop the step somewhere in its `span` of seconds, then let it go on; whether it was stopped at all."""
    base, number = stand.before(step), draw.choice(list(CODES))
    words, log = [*words_of(step, base), "-w", str(base / "workspace")], base / "log"
    process = start(log, *words)
    time.sleep(draw.uniform(0.2, 1) * span)
    began = time.monotonic()
    for _ in range(1 + twice):
        if process.is_alive() and process.pid:
            os.kill(process.pid, number)
    process.join(60)
    said = log.read_text() if log.exists() else ""
    assert time.monotonic() - began < LATEST, said
    assert process.exitcode in (0, CODES[number], -number), said
    assert "Traceback" not in said
    is_stopped = process.exitcode != 0
    again = start(log, *words)
    again.join(120)
    assert again.exitcode == 0, log.read_text()
    assert results(base, step) == whole(stand, step), said
    shutil.rmtree(base)
    return is_stopped


def whole(stand: Stand, step: str) -> dict[str, bytes]:
    """What the step leaves when nobody stops it; made once."""
    base = stand.folder / f"{step}-whole"
    if not base.exists():
        shutil.copytree(stand.ground / f"before-{step}", base)
        process = start(base / "log", *words_of(step, base), "-w", base / "workspace")
        process.join(120)
        assert process.exitcode == 0, (base / "log").read_text()
    return results(base, step)


def stop_all(stand: Stand, seed: int, rounds: int) -> None:
    draw, stopped = random.Random(seed), 0
    for step in WORDS:
        began = time.monotonic()
        whole(stand, step)
        span = time.monotonic() - began
        for count in range(rounds):
            stopped += stop(stand, step, draw, span, twice=count % 2 == 1)
    assert stopped >= len(WORDS) * rounds / 3, "hardly anything was stopped, so hardly anything is shown"


@pytest.mark.crash
def test_ten_signals_and_every_step_goes_on(stand: Stand) -> None:
    stop_all(stand, seed=5, rounds=2)


@pytest.mark.nightly
def test_a_hundred_signals_and_every_step_goes_on(stand: Stand) -> None:
    stop_all(stand, seed=50, rounds=20)
