"""How many trainings run at once, and what their processes are told; the processes themselves: tests.system, .steps."""

from typing import Any

import pytest
import torch

from murace.config import Machine, Recipe
from murace.errors import UsageError
from murace.system.processes import ProcessGroup
from murace.training import side_by_side as module
from murace.training.side_by_side import PROCESS_BYTES, PlannedTraining, at_once, side_by_side
from tests.steps.test_train import StopAfter

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cores", lambda: 8)
    monkeypatch.setattr("murace.system.device.usable_cores", lambda: 8)
    monkeypatch.setattr(module, "free_memory", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def number(asked: str, threads: int | None, count: int, device: torch.device = CPU) -> tuple[int, list[str]]:
    reporter = StopAfter(-1)
    return at_once(Machine(threads=threads, side_by_side=asked), device, count, reporter), reporter.said


@pytest.mark.parametrize(
    ("threads", "count", "expected"), [(1, 3, 3), (1, 9, 8), (2, 9, 4), (3, 9, 2), (5, 9, 1), (16, 9, 1), (None, 9, 1)]
)
def test_auto_runs_as_many_as_have_their_cores(threads: int | None, count: int, expected: int) -> None:
    assert number("auto", threads, count) == (expected, [])


def test_auto_goes_by_the_environments_threads_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert number("auto", None, 9) == (4, [])


def test_a_number_is_what_was_asked_for_whatever_the_threads() -> None:
    assert number("3", 8, 9) == (3, [])
    assert number("1", 1, 9) == (1, [])


def test_more_than_there_are_trainings_is_reduced_with_a_warning() -> None:
    assert number("99", 1, 3) == (3, ["--side-by-side 99: there are 3 trainings to do"])
    assert number("2", 1, 1) == (1, ["--side-by-side 2: there is one training to do"])


def test_on_a_gpu_and_under_torchrun_they_run_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert number("auto", 1, 3, GPU) == (1, [])
    assert number("1", 1, 3, GPU) == (1, [])
    with pytest.raises(UsageError, match="--side-by-side 2 is for the CPU, and a GPU trains one net at a time"):
        number("2", 1, 3, GPU)
    monkeypatch.setattr(module, "process_group", lambda: ProcessGroup(0, 2, 0, 2))
    assert number("auto", 1, 3) == (1, [])
    with pytest.raises(UsageError, match="--side-by-side 2 is for one process: start it without torchrun"):
        number("2", 1, 3)


@pytest.mark.parametrize("word", ["0", "-1", "two", "1.5", "", "²", "1" * 5000])
def test_what_is_no_number_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--side-by-side takes auto or a number of trainings, at least 1"):
        Machine(side_by_side=word)


def planned(name: str, learner: str = "convnet", **more: Any) -> PlannedTraining:
    values = {"images": 100, "recipe": Recipe(epochs=2, batch_size=8, precision="fp32"), **more}
    form = {"learner": learner, "width": 0.1, "head": "gap", "size": 64}
    return PlannedTraining(name=name, message={"about": name}, form=form, **values)


def carried_out(monkeypatch: pytest.MonkeyPatch, machine: Machine, count: int, *trainings: PlannedTraining) -> Any:
    """What the processes are given, and what is said."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(module, "run_tasks", lambda program, tasks, **more: given.update(tasks=tasks, **more) or [])
    reporter = StopAfter(-1)
    side_by_side("program", trainings, count, machine=machine, reporter=reporter)
    return given, reporter.said


def test_each_is_told_its_own_and_that_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(threads=3, compile="off")
    given, said = carried_out(monkeypatch, machine, 2, planned("a"), planned("b"))
    alone = {"gpu": "cpu", "threads": 3, "compile": "off", "graph": "auto", "side_by_side": "1"}
    assert [task.message for task in given["tasks"]] == [{"about": name, "machine": alone} for name in "ab"]
    assert given["environment"] == {}
    assert said == ["2 trainings at once on the CPU, 3 threads each"]


@pytest.mark.parametrize(("count", "share"), [(2, 4), (3, 2), (8, 1), (9, 1)])
def test_a_number_without_threads_shares_the_cores(monkeypatch: pytest.MonkeyPatch, count: int, share: int) -> None:
    machine = Machine(side_by_side=str(count))
    given, said = carried_out(monkeypatch, machine, count, *(planned(str(each)) for each in range(count)))
    assert given["environment"] == {"OMP_NUM_THREADS": str(share)}
    assert said == [f"{count} trainings at once on the CPU, {share} thread{'s' * (share > 1)} each"]
    assert {task.message["machine"]["threads"] for task in given["tasks"]} == {None}, "a resume's own comes first"


def test_fewer_that_are_left_have_the_threads_that_they_had_among_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the same command, typed again after an interruption, would end with other bits."""
    for left in (1, 2, 3):
        given, _ = carried_out(monkeypatch, Machine(side_by_side="4"), left, *(planned(str(n)) for n in range(left)))
        assert given["environment"] == {"OMP_NUM_THREADS": "2"}


def test_what_takes_longer_weighs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    base, longer = Recipe(epochs=2, batch_size=8, precision="fp32"), Recipe(epochs=3, batch_size=8, precision="fp32")
    trainings = [
        *(planned("convnet", images=100, recipe=base), planned("epochs", images=100, recipe=longer)),
        *(planned("images", images=300, recipe=base), planned("densenet", "densenet", images=100, recipe=base)),
    ]
    given, _ = carried_out(monkeypatch, Machine(threads=1), 2, *trainings)
    weights = {task.name: task.weight for task in given["tasks"]}
    assert weights["convnet"] < weights["epochs"] < weights["images"] < weights["densenet"]


@pytest.mark.parametrize("asked", ["auto", "3"])
def test_memory_counts_all_at_once_and_reduces_them(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: int(2.5 * PROCESS_BYTES))
    machine = Machine(threads=1, side_by_side=asked)
    given, said = carried_out(monkeypatch, machine, 3, *(planned(name) for name in "abc"))
    assert given["at_once"] == 2
    option = "" if asked == "auto" else "--side-by-side 3: "
    assert said == [
        f"{option}3 trainings at once need about 1.4 GB of memory and 1.1 GB are free: 2 at once",
        "2 trainings at once on the CPU, 1 thread each",
    ]


def test_with_memory_for_none_one_is_left_to_its_own_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: 1000)
    given, said = carried_out(monkeypatch, Machine(threads=1), 3, *(planned(name) for name in "abc"))
    assert given["at_once"] == 1
    assert said[0].endswith("and 0.0 GB are free: one after the other")


def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carried_out(monkeypatch, Machine(threads=1), 3) == ({}, [])
