"""Tasks in workers: their order, what is shown of them, and how they stop, fail and die together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from murace.errors import Interrupted, MachineError, WorkspaceError
from murace.system.progress import Bar, Reporter
from murace.system.tasks import Task, run_tasks
from tests.cli.typed import environment

PROGRAM = "tests.system.task_worker"
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


class Listener(Reporter):
    """Remembers what it is told; a signal comes when it hears `until`."""

    def __init__(self, until: str = "") -> None:
        super().__init__()
        self.heard, self.open, self.until = list[str](), set[str](), until

    def say(self, message: str) -> None:
        self.heard.append(message)
        if self.until and self.until in message:
            self.signum = signal.SIGINT

    def warn(self, message: str) -> None:
        self.say(f"warning: {message}")

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        self.open.add(title)
        yield Line(self, f"{title} of {total}", start)
        self.open.discard(title)


class Line(Bar):
    def __init__(self, listener: Listener, title: str, start: int) -> None:
        self.listener, self.title, self.done = listener, title, start

    def advance(self, by: int = 1, note: str = "") -> None:
        self.done += by
        self.listener.say(f"{self.title}: {self.done} {note}".rstrip())


def run(reporter: Reporter, at_once: int, **tasks: list[str]) -> list[Any]:
    """Run the tasks, each heavier than the one before."""
    given = [Task(name, words, weight) for weight, (name, words) in enumerate(tasks.items())]
    return run_tasks(PROGRAM, given, title="tasks", at_once=at_once, environment=ENVIRONMENT, reporter=reporter)


def test_the_heaviest_begins_first_and_the_answers_keep_the_order_asked_for() -> None:
    listener = Listener()
    answers = run(listener, 1, light=["say hello"], middle=["warn careful"], heavy=["say train/heavy: changed"])
    assert [answer["words"] for answer in answers] == [["say hello"], ["warn careful"], ["say train/heavy: changed"]]
    assert len({answer["process"] for answer in answers}) == 1
    assert listener.heard == [
        "train/heavy: changed",
        "heavy: epochs of 1: 1 say train/heavy: changed",
        "tasks of 3: 1",
        "warning: middle: careful",
        "middle: epochs of 1: 1 warn careful",
        "tasks of 3: 2",
        "light: hello",
        "light: epochs of 1: 1 say hello",
        "tasks of 3: 3",
    ]
    assert listener.open == set()


def test_tasks_run_at_once_in_processes_of_their_own(tmp_path: Path) -> None:
    """Each waits for the other's file, so neither could end alone."""
    here, there = tmp_path / "here", tmp_path / "there"
    answers = run(Listener(), 2, a=[f"touch {here}", f"wait {there}"], b=[f"touch {there}", f"wait {here}"])
    assert answers[0]["process"] != answers[1]["process"]


def test_a_signal_stops_all_at_their_safe_points_and_begins_no_other(tmp_path: Path) -> None:
    listener = Listener(until="a: ready")
    never = f"wait {tmp_path / 'never'}"
    with pytest.raises(Interrupted) as stopped:
        run(listener, 2, last=[f"touch {tmp_path / 'begun'}"], a=["say ready", never], b=["say ready", never])
    assert stopped.value.signum == signal.SIGINT
    assert not (tmp_path / "begun").exists()
    assert listener.open == set()


def test_what_a_library_prints_is_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    (answer,) = run(Listener(), 1, a=["print onednn_verbose,v1", "say ready"])
    assert answer["words"] == ["print onednn_verbose,v1", "say ready"]
    said = capfd.readouterr()
    assert said.err.count("onednn_verbose,v1\n") == 2
    assert said.out == ""


def test_a_signal_to_a_worker_stops_all_as_if_it_had_come_to_the_parent(tmp_path: Path) -> None:
    never = f"wait {tmp_path / 'never'}"
    with pytest.raises(Interrupted) as stopped:
        run(Listener(), 2, a=["die SIGTERM", never], b=["say ready", never])
    assert stopped.value.signum == signal.SIGTERM


def test_a_signal_while_workers_load_their_modules_waits_for_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("murace.system.workers.sys.executable", "/bin/cat")  # says nothing, and reads on
    listener = Listener()
    listener.signum = signal.SIGTERM
    with pytest.raises(Interrupted):
        run(listener, 2, a=[], b=[])


def test_a_failure_is_raised_by_its_kind_when_the_others_have_stopped(tmp_path: Path) -> None:
    ready, never = tmp_path / "ready", f"wait {tmp_path / 'never'}"
    with pytest.raises(WorkspaceError, match=r"^a: no such thing$"):
        run(Listener(), 2, a=[f"wait {ready}", "refuse no such thing"], b=[f"touch {ready}", never])


def test_a_bug_comes_with_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)task_worker\.py.*KeyError: 'ours'"):
        run(Listener(), 1, a=["break ours"])


def test_a_killed_worker_is_told_by_name_and_the_others_stop(tmp_path: Path) -> None:
    ready, never = tmp_path / "ready", f"wait {tmp_path / 'never'}"
    listener = Listener()
    with pytest.raises(MachineError) as failed:
        run(listener, 2, a=[f"wait {ready}", "die SIGKILL"], b=[f"touch {ready}", never])
    assert str(failed.value) == (
        "the process of a was ended by SIGKILL (no memory left?); what was finished is saved: "
        "run the same command again to go on"
    )
    assert listener.open == set()


def test_a_program_that_cannot_begin_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("murace.system.workers.sys.executable", "/bin/false")
    with pytest.raises(MachineError, match="the process of a ended with code 1; "):
        run(Listener(), 1, a=[])


PARENT = """
import sys
from murace.system.tasks import Task, run_tasks
from murace.system.progress import Reporter
tasks = [Task(name, [f"touch {sys.argv[1]}/{name}", f"wait {sys.argv[1]}/never"], 1) for name in "ab"]
run_tasks("tests.system.task_worker", tasks, title="tasks", at_once=2, environment={}, reporter=Reporter())
"""


def test_no_worker_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment()) as parent:
        wait_for(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
        workers = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()
    assert len(workers) == 2
    try:
        wait_for(lambda: not any(is_running(int(worker)) for worker in workers))
    finally:
        for worker in filter(is_running, map(int, workers)):
            os.kill(worker, signal.SIGKILL)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_for(condition: Any) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.02)
