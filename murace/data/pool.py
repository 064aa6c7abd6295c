"""Reading processes: chunks go out, outcomes come back, and nobody is left behind when something ends early."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import murace
from murace.data.chunks import Chunk, Job, Outcome, run_chunk
from murace.errors import MachineError
from murace.watch import Watch

_POLL = 0.2  # seconds between two looks at the watch
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each process has a core, not all of them


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def run_chunks(job: Job, chunks: Sequence[Chunk], *, jobs: int, watch: Watch) -> Iterator[tuple[Chunk, list[Outcome]]]:
    """Decode chunks in `jobs` processes (in this one if 1) and yield their outcomes as they are finished.

    Raises:
        Interrupted: the watch says so; finished chunks are noted.
        MachineError: a process died, or the disk failed.
    """
    if min(jobs, len(chunks)) > 1:
        yield from _in_processes(job, chunks, min(jobs, len(chunks)), watch)
        return
    for chunk in chunks:
        watch.check()
        yield chunk, run_chunk(job, chunk, watch.check)
    watch.check()


def _in_processes(job: Job, chunks: Sequence[Chunk], jobs: int, watch: Watch) -> Iterator[tuple[Chunk, list[Outcome]]]:
    queue = iter(chunks)
    workers: list[_Worker] = []
    try:
        with selectors.DefaultSelector() as selector:
            for chunk in [next(queue) for _ in range(jobs)]:
                workers.append(_Worker())
                workers[-1].introduce(job)
                workers[-1].give(chunk)
                selector.register(workers[-1].answers, selectors.EVENT_READ, workers[-1])
            while selector.get_map():
                watch.check()
                for key, _ in selector.select(_POLL):
                    worker: _Worker = key.data
                    finished, outcomes = worker.chunk, worker.take()
                    following = next(queue, None)
                    if following is None:
                        selector.unregister(worker.answers)
                    else:
                        worker.give(following)
                    yield finished, outcomes
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One reading process and the chunk it is at."""

    chunk: Chunk

    def __init__(self) -> None:
        package = str(Path(murace.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "murace.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libpng writes its own complaints there; ours come as answers
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C is the parent's business
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def introduce(self, job: Job) -> None:
        """Tell it what all chunks share."""
        self._send(asdict(job))

    def give(self, chunk: Chunk) -> None:
        """Set it to work on a chunk."""
        self.chunk = chunk
        self._send(asdict(chunk))

    def take(self) -> list[Outcome]:
        """Its answer."""
        line = self.answers.readline()
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {"error": self._obituary()}
        if "bug" in answer:
            raise RuntimeError(answer["bug"])
        if "error" in answer:
            raise MachineError(answer["error"])
        return [Outcome(**values) for values in answer["outcomes"]]

    def end(self) -> None:
        """End it now; a chunk that it has not finished is not noted and will be read again."""
        self.process.kill()
        self.process.wait()
        self.answers.close()
        try:
            self.questions.close()
        except BrokenPipeError:  # a line it never read
            return

    def _send(self, value: object) -> None:
        try:
            self.questions.write(json.dumps(value).encode() + b"\n")
            self.questions.flush()
        except BrokenPipeError:
            raise MachineError(self._obituary()) from None

    def _obituary(self) -> str:
        code = self.process.wait()
        return f"a reading process ended with code {code} (no memory left?): run the same command with fewer --jobs"
