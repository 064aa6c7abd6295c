"""A pool of processes that decode chunks of images; all of them end with the run, however it ends.

Own code: workers of ProcessPoolExecutor and loky outlive a parent that is killed; these end when their stdin does.
"""

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
from murace.data.ingest.job import Chunk, ImageOutcome, ReadJob
from murace.errors import MachineError
from murace.system.progress import Reporter
from murace.system.signals import blocked

_POLL = 0.2  # seconds between two checks for a signal
_CHUNKS_WORTH_A_PROCESS = 2  # fewer are read before a process has started
_QUEUED = 2  # chunks that a process has been sent: it never waits for the next one
_READ_BYTES = 2**16  # bytes read from a pipe at a time
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # each process has a core, not all of them
    "OPENBLAS_NUM_THREADS": "1",
    # glibc keeps the memory of one picture for the next: given back and taken again it costs a tenth of the time.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "33554432",
}


def run_chunks(
    job: ReadJob, chunks: Sequence[Chunk], *, jobs: int, reporter: Reporter
) -> Iterator[tuple[Chunk, list[ImageOutcome]]]:
    """Decode chunks in `jobs` processes (few: in this one) and yield their outcomes as they are finished.

    Raises:
        Interrupted: a signal asked to stop; finished chunks are noted.
        MachineError: a process died, or the disk failed.
    """
    images = sum(len(chunk.paths) for chunk in chunks)
    jobs = min(jobs, images // (_CHUNKS_WORTH_A_PROCESS * chunk_length(job.size)))
    if jobs > 1:
        yield from _in_processes(job, chunks, jobs, reporter)
        return
    for chunk in chunks:
        reporter.check()
        yield chunk, run_chunk(job, chunk, reporter.check)
    reporter.check()


def _in_processes(
    job: ReadJob, chunks: Sequence[Chunk], jobs: int, reporter: Reporter
) -> Iterator[tuple[Chunk, list[ImageOutcome]]]:
    queue = iter(chunks)
    workers: list[_WorkerProcess] = []
    try:
        with selectors.DefaultSelector() as selector:
            for _ in range(jobs):
                workers.append(_WorkerProcess())
                workers[-1].send_job(job)
                selector.register(workers[-1].stdout, selectors.EVENT_READ, workers[-1])
            for _ in range(_QUEUED):
                for worker in workers:
                    worker.send_chunk(next(queue, None))
            while any(worker.chunks for worker in workers):
                reporter.check()
                for key, _ in selector.select(_POLL):
                    worker = key.data
                    for finished, outcomes in worker.receive():
                        worker.send_chunk(next(queue, None))
                        yield finished, outcomes
    finally:
        for worker in workers:
            worker.end()


class _WorkerProcess:
    """One worker process, and the chunks that it has been sent and has not answered, in order."""

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        self.unread = b""
        package = str(Path(murace.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        with blocked():  # to stop is the parent's business; a cluster sends its signal to every process
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "murace.data.ingest.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libpng writes its own complaints there; ours come as answers
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path},
                process_group=0,  # and so is Ctrl-C
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send_job(self, job: ReadJob) -> None:
        """Send what all chunks share."""
        self._send(vars(job))

    def send_chunk(self, chunk: Chunk | None) -> None:
        """Send a chunk, unless it is None."""
        if chunk is not None:
            self.chunks.append(chunk)
            self._send(vars(chunk))

    def receive(self) -> Iterator[tuple[Chunk, list[ImageOutcome]]]:
        """The chunks that it has answered since the last call, with their outcomes."""
        data = os.read(self.stdout.fileno(), _READ_BYTES)
        *lines, self.unread = (self.unread + data).split(b"\n")
        if not data:
            raise MachineError(self._exit_message())
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            if "bug" in answer:
                raise RuntimeError(answer["bug"])
            if "error" in answer:
                raise MachineError(answer["error"])
            yield self.chunks.popleft(), [ImageOutcome(**values) for values in answer["outcomes"]]

    def end(self) -> None:
        """End it now; a chunk that it has not finished is not noted and will be read again."""
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        try:
            self.stdin.close()
        except BrokenPipeError:  # a line it never read
            return

    def _send(self, value: object) -> None:
        try:
            self.stdin.write(json.dumps(value).encode() + b"\n")
            self.stdin.flush()
        except BrokenPipeError:
            raise MachineError(self._exit_message()) from None

    def _exit_message(self) -> str:
        code = self.process.wait()
        return f"a reading process ended with code {code} (no memory left?): run the same command with fewer --jobs"
