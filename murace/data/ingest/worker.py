"""Worker process of the pool: reads a job and then chunks as lines of JSON on stdin, and answers each on stdout.

It is a program of its own rather than a fork: no threads of the parent are copied, nothing heavy is loaded (the
parent's main module may well import torch), and when the parent dies in whatever way, stdin ends and so does this.
While a thread waits for the disk to have one chunk, the next one is decoded.
"""

import json
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from murace.data.ingest.chunks import open_array, read_chunk
from murace.data.ingest.job import Chunk, ChunkOutcome, ReadJob
from murace.data.ingest.notes import write_note
from murace.errors import MachineError
from murace.system.failures import machine_error

_Done = SimpleQueue[tuple[Chunk, ChunkOutcome] | None]


def main() -> None:
    """Serve until stdin ends."""
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
            _answer({"outcomes": [vars(outcome) for outcome in chunk_outcome.outcomes]})


@contextmanager
def _errors_answered() -> Iterator[None]:
    """Send an error to the parent as an answer."""
    try:
        yield
    except MachineError as error:
        _answer({"error": str(error)})
    except Exception as error:
        machine = machine_error(error)
        # A bug of ours must reach the parent, whose log can be read.
        _answer({"error": str(machine)} if machine else {"bug": traceback.format_exc()})


def _answer(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - stdout is the pipe to the parent


if __name__ == "__main__":
    main()
