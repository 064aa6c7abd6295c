"""Reading processes: chunks go out, outcomes come back, and nobody is left behind when something ends early."""

import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import murace
from murace.data.ingest.chunks import chunk_length, run_chunk
from murace.data.ingest.job import Chunk, Job, Outcome
from murace.errors import MachineError
from murace.system.progress import Reporter

_POLL = 0.2  # seconds between two looks at the watch
_WORTH = 2  # chunks that a process must find to do: fewer are read before it has started
_AHEAD = 2  # chunks that a process has: it never waits for the next one
_ANSWER = 2**16  # bytes read from a pipe at a time
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # each process has a core, not all of them
    "OPENBLAS_NUM_THREADS": "1",
    # glibc keeps the memory of one picture for the next: given back and taken again it costs a tenth of the time.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}


def cores() -> int:
    """How many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def run_chunks(
    job: Job, chunks: Sequence[Chunk], *, jobs: int, reporter: Reporter
) -> Iterator[tuple[Chunk, list[Outcome]]]:
    """Decode chunks in `jobs` processes (few: in this one) and yield their outcomes as they are finished.

    Raises:
        Interrupted: a signal asked to stop; finished chunks are noted.
        MachineError: a process died, or the disk failed.
    """
    images = sum(len(chunk.paths) for chunk in chunks)
    jobs = min(jobs, images // (_WORTH * chunk_length(job.size)))
    if jobs > 1:
        yield from _in_processes(job, chunks, jobs, reporter)
        return
    for chunk in chunks:
        reporter.check()
        yield chunk, run_chunk(job, chunk, reporter.check)
    reporter.check()


def _in_processes(
    job: Job, chunks: Sequence[Chunk], jobs: int, reporter: Reporter
) -> Iterator[tuple[Chunk, list[Outcome]]]:
    queue = iter(chunks)
    workers: list[_Worker] = []
    try:
        with selectors.DefaultSelector() as selector:
            for _ in range(jobs):
                workers.append(_Worker())
                workers[-1].introduce(job)
                selector.register(workers[-1].answers, selectors.EVENT_READ, workers[-1])
            for _ in range(_AHEAD):
                for worker in workers:
                    worker.give(next(queue, None))
            while any(worker.chunks for worker in workers):
                reporter.check()
                for key, _ in selector.select(_POLL):
                    worker = key.data
                    for finished, outcomes in worker.take():
                        worker.give(next(queue, None))
                        yield finished, outcomes
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One reading process and the chunks it has been given, in their order."""

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        self.unread = b""
        package = str(Path(murace.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "murace.data.ingest.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libpng writes its own complaints there; ours come as answers
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path},
            process_group=0,  # Ctrl-C is the parent's business
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.questions, self.answers = self.process.stdin, self.process.stdout

    def introduce(self, job: Job) -> None:
        """Tell it what all chunks share."""
        self._send(vars(job))

    def give(self, chunk: Chunk | None) -> None:
        """Set it to work on a chunk after those that it has; on nothing more if None."""
        if chunk is not None:
            self.chunks.append(chunk)
            self._send(vars(chunk))

    def take(self) -> Iterator[tuple[Chunk, list[Outcome]]]:
        """What it has answered since it was asked last."""
        data = os.read(self.answers.fileno(), _ANSWER)
        *lines, self.unread = (self.unread + data).split(b"\n")
        if not data:
            raise MachineError(self._obituary())
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            if "bug" in answer:
                raise RuntimeError(answer["bug"])
            if "error" in answer:
                raise MachineError(answer["error"])
            yield self.chunks.popleft(), [Outcome(**values) for values in answer["outcomes"]]

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
