"""A reading process: takes a job and then chunks as lines of JSON on stdin, and answers each on stdout.

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

from murace.data.ingest.chunks import array, read_chunk
from murace.data.ingest.job import Chunk, Job, Portion
from murace.data.ingest.notes import settle
from murace.errors import MachineError
from murace.system.failures import machine_error

_Done = SimpleQueue[tuple[Chunk, Portion] | None]


def main() -> None:
    """Serve until stdin ends."""
    with _reported():
        _serve(Job(**json.loads(sys.stdin.readline())))
    sys.stdin.read()  # after an error: the parent reads of it, then ends this process


def _serve(job: Job) -> None:
    done: _Done = SimpleQueue()
    with array(job) as descriptor:
        settling = threading.Thread(target=_settle_all, args=(job, descriptor, done))
        settling.start()
        try:
            for line in sys.stdin:
                values = json.loads(line)
                chunk = Chunk(values["number"], values["first"], tuple(values["paths"]))
                done.put((chunk, read_chunk(job, chunk, descriptor)))
        finally:
            done.put(None)
            settling.join()


def _settle_all(job: Job, descriptor: int, done: _Done) -> None:
    """Settle chunks and answer, until None comes; none after an error, which may have been about their pixels too."""
    with _reported():
        while (finished := done.get()) is not None:
            chunk, portion = finished
            settle(job, chunk, descriptor, portion)
            _say({"outcomes": [vars(outcome) for outcome in portion.outcomes]})


@contextmanager
def _reported() -> Iterator[None]:
    """An error becomes an answer."""
    try:
        yield
    except MachineError as error:
        _say({"error": str(error)})
    except Exception as error:
        machine = machine_error(error)
        # A bug of ours must reach the parent, whose log can be read.
        _say({"error": str(machine)} if machine else {"bug": traceback.format_exc()})


def _say(answer: dict[str, object]) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - stdout is the pipe to the parent


if __name__ == "__main__":
    main()
