"""Worker process of the pool: reads a job and then chunks as lines of JSON on stdin, and answers each on stdout.

While a thread waits for the disk to have one chunk, the next one is decoded.
"""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from murace.data.ingest.chunks import open_array, read_chunk
from murace.data.ingest.job import Chunk, ChunkOutcome, ReadJob
from murace.data.ingest.notes import write_note
from murace.system.workers import answer, error_message, pipe_to_parent

_Done = SimpleQueue[tuple[Chunk, ChunkOutcome] | None]


def main() -> None:
    """Serve until stdin ends."""
    pipe_to_parent()
    with _errors_answered():
        _serve(ReadJob(**json.loads(sys.stdin.readline())))
    sys.stdin.read()  # after an error: the parent reads of it, then ends this process


def _serve(job: ReadJob) -> None:
    done: _Done = SimpleQueue()
    with open_array(job) as descriptor:
        writer = threading.Thread(target=_write_notes, args=(job, descriptor, done))
        writer.start()
        try:
            for line in sys.stdin:
                values = json.loads(line)
                chunk = Chunk(values["number"], values["first"], tuple(values["paths"]))
                done.put((chunk, read_chunk(job, chunk, descriptor)))
        finally:
            done.put(None)
            writer.join()


def _write_notes(job: ReadJob, descriptor: int, done: _Done) -> None:
    """Note chunks and answer, until None comes; none after an error, which may have been about their pixels too."""
    with _errors_answered():
        while (finished := done.get()) is not None:
            chunk, chunk_outcome = finished
            write_note(job, chunk, descriptor, chunk_outcome)
            answer({"outcomes": [vars(outcome) for outcome in chunk_outcome.outcomes]})


@contextmanager
def _errors_answered() -> Iterator[None]:
    """Send an error to the parent as an answer."""
    try:
        yield
    except Exception as error:
        answer(error_message(error))


if __name__ == "__main__":
    main()
