"""Processes that end themselves with SIGKILL at a chosen moment of their writing.

A *moment* is the instant before a change of the disk (a file opened for writing, renamed, removed, cut, a folder made
or removed, an fsync), after an fsync, or the middle of a write. They are counted, so that each of them can be chosen.
What happens between two moments changes nothing on the disk: to be killed there is to be killed at one of them.
"""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [f"murace.steps.{name}" for name in ("prepare", "train", "calibrate", "finetune", "evaluate", "cam", "predict")]
)
PATIENCE = 120  # seconds
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
NEVER = 0


@dataclass(frozen=True)
class Ended:
    """How a process ended: killed, or with an answer; and how many moments it has lived through."""

    killed: bool
    moments: int = 0
    answer: Any = None


def run(work: Callable[..., Any], *given: Any, root: Path, kill_at: int = NEVER) -> Ended:
    """Do `work` in a process of its own that is killed at the `kill_at`th moment of writing under `root`."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_live, args=(there, work, given, os.fspath(root), kill_at))
    process.start()
    there.close()
    try:
        assert here.poll(PATIENCE), "the process does not answer"
        ended = here.recv()
    except EOFError:
        ended = None
    process.join(PATIENCE)
    if process.exitcode == -signal.SIGKILL and ended is None:
        return Ended(killed=True)
    assert ended is not None, f"it died with {process.exitcode}"
    assert isinstance(ended, Ended), ended  # else a traceback
    return ended


def spread(total: int, most: int) -> list[int]:
    """At most so many moments, evenly, the first and the last among them."""
    if total <= most:
        return list(range(1, total + 1))
    return sorted({1 + round(k * (total - 1) / (most - 1)) for k in range(most)})


class Clock:
    """Counts the moments, and ends the process at the chosen one."""

    def __init__(self, root: str, kill_at: int) -> None:
        self.root, self.kill_at, self.now, self.runs = root, kill_at, 0, True

    def tick(self, half: Callable[[], object] = lambda: None) -> None:
        """A moment; `half` does half of what would come next, for it to end in the middle."""
        if not self.runs:
            return
        self.now += 1
        if self.now == self.kill_at:
            half()
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Python's own word of what is about to happen."""
        if event == "open":
            path, _, flags = args
            is_change = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if is_change and self._is_inside(path):
                self.tick()
        elif event in EVENTS and self._is_inside(args[0]):
            self.tick()

    def _is_inside(self, path: Any) -> bool:
        return isinstance(path, int) or os.fsdecode(path).startswith(self.root)


def _live(pipe: Connection, work: Callable[..., Any], given: tuple[Any, ...], root: str, kill_at: int) -> None:
    clock = Clock(root, kill_at)
    _install(clock)
    try:
        answer: Any = Ended(killed=False, answer=work(*given))
        clock.runs = False
        answer = Ended(killed=False, answer=answer.answer, moments=clock.now)
    except BaseException:
        clock.runs = False
        answer = traceback.format_exc()
    pipe.send(answer)


def _install(clock: Clock) -> None:
    from murace.system.files import DigestWriter

    fsync, pwrite, write = os.fsync, os.pwrite, DigestWriter.write

    def synced(descriptor: int) -> None:
        clock.tick()
        fsync(descriptor)
        clock.tick()

    def put(descriptor: int, data: bytes, offset: int) -> int:
        clock.tick(lambda: pwrite(descriptor, bytes(data)[: len(data) // 2], offset))
        return pwrite(descriptor, data, offset)

    def written(pen: Any, data: bytes) -> int:
        def half() -> None:
            pen._file.write(bytes(data)[: len(data) // 2])
            pen._file.flush()

        clock.tick(half)
        return write(pen, data)

    os.fsync, os.pwrite, DigestWriter.write = synced, put, written  # type: ignore[assignment, method-assign]
    sys.addaudithook(clock.hear)
