"""Reading processes: chunks go out, outcomes come back, and nobody is left behind when something ends early."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.synchronize import Event
from typing import Any

from murace.data.chunks import Chunk, Job, Outcome, run_chunk
from murace.errors import MachineError
from murace.watch import Watch

_IN_FLIGHT = 2  # chunks per process: one in work and one waiting
_POLL = 0.2  # seconds between two looks at the watch

_stop: Event | None = None  # set in each reading process by `_start`


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
        outcomes = run_chunk(job, chunk, lambda: watch.signum is not None)
        if outcomes is not None:
            yield chunk, outcomes
    watch.check()


def _in_processes(job: Job, chunks: Sequence[Chunk], jobs: int, watch: Watch) -> Iterator[tuple[Chunk, list[Outcome]]]:
    # A server that has loaded numpy and OpenCV once forks the others: no threads of ours are forked, nothing is loaded
    # per process, and torch never is.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["murace.data.chunks"])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # inherited: Ctrl-C is this process's business
    try:
        forkserver.ensure_running()
        stop = context.Event()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(stop,)) as pool:
        try:
            yield from _gather(pool, job, iter(chunks), jobs, watch)
        except BrokenProcessPool as error:
            watch.check()  # a signal to the whole group ends the processes too
            raise MachineError(
                "a reading process was killed, perhaps for want of memory: run the same command again with fewer --jobs"
            ) from error
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def _gather(
    pool: ProcessPoolExecutor, job: Job, chunks: Iterator[Chunk], jobs: int, watch: Watch
) -> Iterator[tuple[Chunk, list[Outcome]]]:
    pending: dict[Future[list[Outcome] | None], Chunk] = {}
    while True:
        watch.check()
        while len(pending) < jobs * _IN_FLIGHT and (chunk := next(chunks, None)) is not None:
            pending[pool.submit(_run, job, chunk)] = chunk
        if not pending:
            return
        done, _ = wait(pending, timeout=_POLL, return_when=FIRST_COMPLETED)
        for future in done:
            chunk, outcomes = pending.pop(future), future.result()
            if outcomes is not None:
                yield chunk, outcomes


def _run(job: Job, chunk: Chunk) -> list[Outcome] | None:
    stop: Any = _stop
    return run_chunk(job, chunk, stop.is_set)


def _start(stop: Event) -> None:
    """Make a reading process quiet: no Ctrl-C, no decoder's chatter, and no life without its parent."""
    global _stop  # an Event can only be inherited, not sent with a task
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # killed: there is nobody left to answer to
