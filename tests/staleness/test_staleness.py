"""Stale or not, and why (W1): any order of runs, edits and damage, against recomputing everything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.staleness.machine import InterruptedTwice, Staleness, Unstubbed, reached
from tests.staleness.model import LARGE
from tests.staleness.oracle import Oracle
from tests.staleness.standins import instead

QUIET = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=False,
    phases=[Phase.generate, Phase.shrink],
)
FIXED = settings(QUIET, derandomize=True)  # the same each time; only at night are new ones drawn
RAN = {"run, done", "run, interrupted", "resume, done", "skip", "refuse"}
# What must come of each command, so that the machine cannot pass by going round in circles.
WANTED = {
    "prepare": {*RAN, "run, data"},
    "train": {*RAN, "resume, interrupted", "run, killed"},
    "calibrate": RAN,
    "finetune": {*RAN, "run, killed"},
    "evaluate": RAN,
    "status": {"done", "stale", "partial", "damaged", "missing"},
    "source": {"seen", "unseen", "touched", "broken", "row", "label", "synthetic"},
    "damage to product": {"gone", "flipped", "rotten"},
    "damage to step.json": {"gone", "flipped"},
    "damage to begun.json": {"flipped"},
    "damage to checkpoint": {"gone"},
    "exchanged": {"folders", "files"},
    "shelf": {"kept", "put back"},
    "moved": {"renamed", "copied"},
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Staleness]]:
    Staleness.oracle = Oracle(tmp_path / "oracle")  # InterruptedTwice's too
    for module in ("decision", "status"):
        monkeypatch.setattr(f"murace.workspace.{module}.LARGE", LARGE)
    reached.clear()
    with instead():
        yield Staleness


def missed() -> list[tuple[str, str]]:
    """What may come of something and has not."""
    return [(what, outcome) for what, outcomes in WANTED.items() for outcome in outcomes if not reached[what, outcome]]


def test_a_few(machine: type[Staleness]) -> None:
    few = settings(FIXED, max_examples=12, stateful_step_count=12)
    run_state_machine_as_test(machine, settings=few)
    assert 2 * len(missed()) < sum(map(len, WANTED.values())), missed()


@pytest.mark.crash
def test_two_hundred(machine: type[Staleness]) -> None:
    run_state_machine_as_test(machine, settings=settings(FIXED, max_examples=200, stateful_step_count=30))
    run_state_machine_as_test(InterruptedTwice, settings=settings(FIXED, max_examples=1, stateful_step_count=1))
    assert not missed(), missed()
    assert sum(count for (what, _), count in reached.items() if what == "mended") > 20


@pytest.mark.crash
def test_the_stand_ins_lie_about_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same machine and the same model with the real nets, scores and report."""
    Unstubbed.oracle = Oracle(tmp_path / "oracle")
    for module in ("decision", "status"):
        monkeypatch.setattr(f"murace.workspace.{module}.LARGE", LARGE)
    reached.clear()
    run_state_machine_as_test(Unstubbed, settings=settings(FIXED, max_examples=3, stateful_step_count=8))
    assert reached["status", "done"]


@pytest.mark.nightly
def test_five_thousand(machine: type[Staleness]) -> None:
    run_state_machine_as_test(machine, settings=settings(QUIET, max_examples=5000, stateful_step_count=30))
    assert not missed()
