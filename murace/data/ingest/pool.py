"""A pool of processes that decode chunks of images; all of them end with the run, however it ends."""

import selectors
from collections import deque
from collections.abc import Iterator, Sequence

from murace.data.ingest.chunks import chunk_length, run_chunk
from murace.data.ingest.job import Chunk, ImageOutcome, ReadJob
from murace.errors import MachineError
from murace.system.progress import Reporter
from murace.system.workers import WorkerProcess, raise_error

_POLL = 0.2  # seconds between two checks for a signal
_CHUNKS_WORTH_A_PROCESS = 2  # fewer are read before a process has started
_QUEUED = 2  # chunks that a process has been sent: it never waits for the next one
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
    readers: list[_Reader] = []
    try:
        with selectors.DefaultSelector() as selector:
            for _ in range(jobs):
                readers.append(_Reader())
                readers[-1].send_job(job)
                selector.register(readers[-1].worker.stdout, selectors.EVENT_READ, readers[-1])
            for _ in range(_QUEUED):
                for reader in readers:
                    reader.send_chunk(next(queue, None))
            while any(reader.chunks for reader in readers):
                reporter.check()
                for key, _ in selector.select(_POLL):
                    reader = key.data
                    for finished, outcomes in reader.receive():
                        reader.send_chunk(next(queue, None))
                        yield finished, outcomes
    finally:
        for reader in readers:
            reader.worker.end()  # a chunk that it has not finished is not noted and will be read again


class _Reader:
    """One reading process, and the chunks that it has been sent and has not answered, in order."""

    def __init__(self) -> None:
        self.chunks: deque[Chunk] = deque()
        # libpng writes its own complaints to stderr; ours come as answers
        self.worker = WorkerProcess("murace.data.ingest.worker", ENVIRONMENT, is_quiet=True)

    def send_job(self, job: ReadJob) -> None:
        """Send what all chunks share."""
        self.worker.send(vars(job))

    def send_chunk(self, chunk: Chunk | None) -> None:
        """Send a chunk, unless it is None."""
        if chunk is not None:
            self.chunks.append(chunk)
            self.worker.send(vars(chunk))

    def receive(self) -> Iterator[tuple[Chunk, list[ImageOutcome]]]:
        """The chunks that it has answered since the last call, with their outcomes."""
        answers = self.worker.receive()
        if answers is None:
            raise MachineError(
                f"a reading process {self.worker.how_it_ended()}: run the same command with fewer --jobs"
            )
        for answer in answers:
            raise_error(answer)
            yield self.chunks.popleft(), [ImageOutcome(**values) for values in answer["outcomes"]]
