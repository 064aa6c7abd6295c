"""The parent's side: workers that are asked in turn, and what their rounds say about each other."""

import contextlib
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Round, Spec

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1800.0  # seconds for one answer: something hangs
THREADS = ("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "TF_NUM")
Rounds = dict[str, list[Round]]


class WorkerError(Exception):
    """A worker ended; the message is the last line that it said."""


class Worker:
    """A process that does a round of work when asked, and otherwise waits for its input."""

    def __init__(
        self, module: str, spec: Spec, *, variables: Mapping[str, str] | None = None, limit: float = LIMIT
    ) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=ROOT,
            env=environment(variables or {}),
            start_new_session=True,  # it may have children, and they end with it
        )
        try:
            self.facts = self._answer(limit)
        except WorkerError:
            self.close()
            raise

    def ask(self) -> Round:
        """Have a round done."""
        return Round(**self.put({}))

    def put(self, question: Spec, *, limit: float = LIMIT) -> dict[str, Any]:
        """Ask, and wait `limit` seconds for the answer.

        Raises:
            WorkerError: the worker is over its time, has ended, or answers that something went wrong.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and _answer says of what
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        answer = self._answer(limit)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        ends = threading.Timer(limit, self._kill)
        ends.start()
        line = self.process.stdout.readline()
        is_late = not ends.is_alive()
        ends.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self.process.wait()
        self.log.seek(0)
        said = self.log.read().decode(errors="replace").strip().splitlines() or [f"it ended with {code}"]
        raise WorkerError(f"not done within {limit:.0f} s" if is_late else said[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process."""
        self._kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process' environment without anyone's wishes about threads, so that each way has its own defaults."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(THREADS)}
    return kept | dict(variables)


def in_turn(workers: Mapping[str, Worker], rounds: int) -> Rounds:
    """After a round for warming up, every worker's rounds, alternating; the others wait meanwhile."""
    found: Rounds = {name: [] for name in workers}
    for name in workers:
        workers[name].ask()
    for number in range(rounds):
        for name in sorted(workers, reverse=bool(number % 2)):
            found[name].append(workers[name].ask())
    return found


def compare(part: str, what: str, ours: Sequence[Round], theirs: Sequence[Round], *, target: float | None) -> Line:
    """Rates of two ways: medians, and as ratio the median of the rounds' own ratios, which outlives a slow minute."""
    ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    memory = (max(each.memory for each in ours), max(each.memory for each in theirs))
    note = f"processor {per_image(ours):.1f} / {per_image(theirs):.1f} ms an image"
    return Line(part, what, "images/s", rate(ours), rate(theirs), ratio, target, memory, note)


def rate(rounds: Sequence[Round]) -> float:
    """The median rate."""
    return statistics.median(each.rate for each in rounds)


def per_image(rounds: Sequence[Round]) -> float:
    """Milliseconds of processor time an image: steadier than wall time on a shared machine."""
    return 1000 * statistics.median(each.processor / each.images for each in rounds)


def lacks(*packages: str) -> str:
    """What to say where a package of the `benchmark` extra is missing; empty where none is."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return f"not measured: {', '.join(missing)} not installed (pip install -e '.[benchmark]')" if missing else ""


@contextmanager
def busy() -> Iterator[None]:
    """One other process that keeps a core busy."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()
