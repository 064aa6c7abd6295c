"""Tasks side by side, each in a worker process: shown by one reporter, they stop together and fail together.

`run_tasks` is the parent's side, `serve` the workers'. A worker does one task after the other and sends what its
reporter is told; when its parent ends, in whatever way, it ends at once too.
"""

import json
import os
import selectors
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from threading import Thread
from types import FrameType
from typing import Any

from murace.errors import Interrupted, MachineError, MuraceError
from murace.system.progress import Bar, Reporter
from murace.system.workers import WorkerProcess, answer, error_message, pipe_to_parent, raise_error

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL = 0.2  # seconds between two checks for a signal
Work = Callable[[Any, Reporter], Any]


@dataclass(frozen=True)
class Task:
    """One of several that do not depend on each other.

    Attributes:
        name: what stands before all that is said of it.
        message: what its worker is given, as JSON.
        weight: how long it may take, in any unit; the longest begins first.
    """

    name: str
    message: Any
    weight: float


def run_tasks(
    module: str, tasks: Sequence[Task], *, title: str, at_once: int, environment: Mapping[str, str], reporter: Reporter
) -> list[Any]:
    """Do tasks in at most `at_once` workers that run `python -m MODULE`, whose main calls `serve`.

    When a signal comes or a task fails, no other begins, and those that run stop at their next safe point, as if the
    signal had come to each: what they have done is saved, and a failure is told now, not when the longest has ended.

    Args:
        module: the program of the workers.
        tasks: what to do.
        title: of the bar that counts the finished ones.
        at_once: how many workers there are at most.
        environment: variables of the workers besides those of this process.
        reporter: shows what the tasks tell their own.

    Returns:
        What `serve`'s work has returned for each task, in the order of `tasks`.

    Raises:
        Interrupted: a signal asked to stop.
        MuraceError: what the first task that failed has raised.
        MachineError: the process of a task was killed.
    """
    waiting = deque(sorted(range(len(tasks)), key=lambda number: -tasks[number].weight))
    results: dict[int, Any] = {}
    stop: MuraceError | None = None
    workers: list[_Worker] = []
    with selectors.DefaultSelector() as selector, ExitStack() as ending:
        finished = ending.enter_context(reporter.bar(title, len(tasks)))
        for _ in range(min(at_once, len(tasks))):
            workers.append(_Worker(module, environment, selector, reporter))
            ending.callback(workers[-1].end)
        while waiting or any(worker.task is not None for worker in workers):
            if reporter.signum is not None and stop is None:
                stop = Interrupted(reporter.signum)
            if stop is not None:
                waiting.clear()
            for worker in workers:
                if stop is not None:
                    worker.stop(stop.signum if isinstance(stop, Interrupted) else signal.SIGTERM)
                elif worker.task is None and waiting:
                    worker.begin(waiting[0], tasks[waiting.popleft()])
            for key, _ in selector.select(_POLL):
                try:
                    done = key.data.receive()
                except MuraceError as error:
                    stop = error if stop is None or isinstance(stop, Interrupted) else stop
                else:
                    results |= done
                    if done:
                        finished.advance(len(done))
    if len(results) < len(tasks):
        assert stop is not None
        raise stop
    return [results[number] for number in range(len(tasks))]


class _Worker:
    """A worker process, the task that it does, and the bars of that task."""

    def __init__(
        self, module: str, environment: Mapping[str, str], selector: selectors.BaseSelector, reporter: Reporter
    ) -> None:
        self.process, self.selector, self.reporter = WorkerProcess(module, environment), selector, reporter
        self.task: Task | None = None
        self.number = -1
        self.has_begun = self.is_stopping = self.has_ended = False
        self.bars: dict[int, tuple[Bar, ExitStack]] = {}
        selector.register(self.process.stdout, selectors.EVENT_READ, self)

    def begin(self, number: int, task: Task) -> None:
        """Give it a task, the one of that number."""
        self.number, self.task = number, task
        self.process.send({"task": task.message})

    def stop(self, signum: int) -> None:
        """Ask it, once, to stop at the next safe point; while it still loads its modules, end it."""
        if self.task is None or self.is_stopping:
            return
        self.is_stopping = True
        if self.has_begun:
            self.process.send({"stop": signum})
        else:
            self.end()

    def receive(self) -> dict[int, Any]:
        """Show what it has said since the last call; returns the result of its task by number, if it has ended.

        Raises:
            MuraceError: what its task has raised; see `run_tasks`.
        """
        messages, task = self.process.receive(), self.task
        if messages is None:
            code = self.process.process.wait()
            how = self.process.how_it_ended()
            self.end()
            if task is None:
                return {}
            if -code in SIGNALS:
                raise Interrupted(-code)
            raise MachineError(
                f"the process of {task.name} {how}; what was finished is saved: run the same command again to go on"
            )
        for message in messages:
            self.has_begun = True
            if self._show(message):
                continue
            if "error" in message:
                message["error"] = self._named(message["error"])
            self.task = None
            if "interrupted" in message:
                raise Interrupted(message["interrupted"])
            raise_error(message)
            return {self.number: message["done"]}
        return {}

    def end(self) -> None:
        """End its process and close its bars."""
        if self.has_ended:
            return
        self.has_ended, self.task = True, None
        self.selector.unregister(self.process.stdout)
        self.process.end()
        for _, closing in self.bars.values():
            closing.close()
        self.bars.clear()

    def _show(self, message: Mapping[str, Any]) -> bool:
        """Show what its reporter was told; False where the message is about the end of the task."""
        match message:
            case {"say": text}:
                self.reporter.say(self._named(text))
            case {"warn": text}:
                self.reporter.warn(self._named(text))
            case {"bar": number, "title": title, "total": total, **options}:
                closing = ExitStack()
                bar = closing.enter_context(self.reporter.bar(self._named(title), total, **options))
                self.bars[number] = bar, closing
            case {"advance": number, "by": by, "note": note}:
                self.bars[number][0].advance(by, note)
            case {"close": number}:
                self.bars.pop(number)[1].close()
            case _:
                return False
        return True

    def _named(self, text: str) -> str:
        """The text with the task's name before it, unless it names it there in some form."""
        assert self.task is not None
        name, words = self.task.name, text.partition(":")[0].replace("/", " ").split()
        return text if name in words else f"{name}: {text}"


def serve(work: Work) -> None:
    """Do the tasks that come on stdin with `work`, one after the other, for as long as the parent lives."""
    pipe_to_parent()
    reporter, tasks = _PipeReporter(), SimpleQueue[Any]()
    for number in SIGNALS:  # sent to every process of a run, by a scheduler of jobs for example
        signal.signal(number, reporter.note)
    if hasattr(signal, "pthread_sigmask"):  # a `WorkerProcess` is started with these blocked
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    Thread(target=_listen, args=(reporter, tasks), daemon=True).start()
    while True:
        message = tasks.get()
        try:
            answer({"done": work(message, reporter)})
        except Interrupted as interruption:
            answer({"interrupted": interruption.signum})
        except Exception as error:
            answer(error_message(error))


def _listen(reporter: "_PipeReporter", tasks: "SimpleQueue[Any]") -> None:
    """Take what the parent sends. When it has ended, so does this process: as after a kill, what is saved is whole."""
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            reporter.signum = message["stop"]
        else:
            tasks.put(message["task"])
    os._exit(1)


class _PipeReporter(Reporter):
    """The reporter of a worker, which tells its parent's."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = count()

    def note(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal: stop at the next safe point."""
        self.signum = signum

    def say(self, message: str) -> None:
        """Send a remark."""
        answer({"say": message})

    def warn(self, message: str) -> None:
        """Send a warning."""
        answer({"warn": message})

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        """Have the parent show a bar."""
        number = next(self.numbers)
        answer({"bar": number, "title": title, "total": total, "start": start, "lines": lines})
        try:
            yield _PipeBar(number)
        finally:
            answer({"close": number})


class _PipeBar(Bar):
    """A bar that the parent shows."""

    def __init__(self, number: int) -> None:
        self.number = number

    def advance(self, by: int = 1, note: str = "") -> None:
        """Send the count and the note."""
        answer({"advance": self.number, "by": by, "note": note})
