"""Stale or not, and why (W1): any order of runs, edits and damage, against recomputing everything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.staleness.machine import Staleness, reached
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
RAN = [f"{kind}, {end}" for kind in ("run", "resume") for end in ("done", "interrupted")]
# Everything that may come of a command, so that the machine cannot pass by going round in circles.
COMMANDS = {
    "prepare": {*RAN, "run, data", "skip", "refuse"},
    "train": {*RAN, "run, killed", "resume, killed", "skip", "refuse"},
    "calibrate": {*RAN, "skip", "refuse"},
    "finetune": {*RAN, "run, killed", "skip", "refuse"},
    "evaluate": {*RAN, "skip", "refuse"},
    "status": {"done", "stale", "partial", "damaged", "missing"},
    "source": {"seen", "unseen", "touched", "broken", "row", "label", "synthetic"},
    "damage to product": {"gone", "flipped", "rotten"},
    "damage to step.json": {"gone", "flipped", "rotten"},
    "damage to begun.json": {"gone", "flipped", "rotten"},
    "damage to checkpoint": {"gone"},
    "exchanged": {"folders", "files"},
    "shelf": {"kept", "put back"},
    "moved": {"renamed", "copied"},
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Staleness]]:
    Staleness.oracle = Oracle(tmp_path / "oracle")
    for module in ("decision", "state"):
        monkeypatch.setattr(f"murace.record.{module}.LARGE", LARGE)
    reached.clear()
    with instead():
        yield Staleness


def missed() -> list[tuple[str, str]]:
    """What may come of something and has not."""
    return [
        (what, outcome) for what, outcomes in COMMANDS.items() for outcome in outcomes if not reached[what, outcome]
    ]


def test_a_few(machine: type[Staleness]) -> None:
    """The same few each time; the others draw new ones."""
    few = settings(QUIET, max_examples=12, stateful_step_count=12, derandomize=True)
    run_state_machine_as_test(machine, settings=few)
    assert len(missed()) < 25, missed()


@pytest.mark.crash
def test_two_hundred(machine: type[Staleness]) -> None:
    run_state_machine_as_test(machine, settings=settings(QUIET, max_examples=200, stateful_step_count=30))
    assert not missed()
    assert sum(count for (what, _), count in reached.items() if what == "mended") > 20


@pytest.mark.nightly
def test_five_thousand(machine: type[Staleness]) -> None:
    run_state_machine_as_test(machine, settings=settings(QUIET, max_examples=5000, stateful_step_count=30))
    assert not missed()
