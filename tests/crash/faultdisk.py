"""A disk that breaks when it is told to: the n-th operation on the files under a folder fails with a chosen errno.

Seen are the system's own audit events (opening for writing, renaming, removing, making folders, cutting to length), and
by standing in for them `os.fsync`, `os.pwrite`, `os.write` and the writing and flushing of files. Only the standard
library is imported: a reading process loads this before anything else.
"""

import errno
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
EVENTS = {
    "open": "open",
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.truncate": "truncate",
}
ROOMY = ("open", "mkdir", "write", "flush", "pwrite", "fsync", "truncate")  # what a full disk refuses
REMOVES = ("remove", "rmdir")
FOLDER_FD = {"remove": 1, "rmdir": 1, "mkdir": 2, "rename": 2}  # where an event names the folder of a relative path


@dataclass(frozen=True)
class Operation:
    """One operation: what was done, and to which file under the root."""

    kind: str
    name: str


@dataclass
class Disk:
    """What is done to the files under `root`; the operation numbered `at` fails with `number`.

    A full disk stays full: whatever needs room fails from then on, and removing goes on working. One that has become
    read-only refuses everything from then on. Another error comes once.
    """

    root: Path
    at: int | None = None
    number: int = errno.ENOSPC
    done: list[Operation] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def note(self, kind: str, path: object, folder: object = -1) -> None:
        """Count an operation, or let it fail."""
        name = self._name(path, folder)
        if name is None:
            return
        with self.lock:
            self.done.append(Operation(kind, name))
            if self._fails(kind):
                raise OSError(self.number, os.strerror(self.number), None if isinstance(path, int) else str(path))

    def _fails(self, kind: str) -> bool:
        if self.at is None or len(self.done) - 1 < self.at:
            return False
        is_first = len(self.done) - 1 == self.at
        if self.number in (errno.ENOSPC, errno.EDQUOT):
            return is_first or kind in ROOMY
        return is_first or self.number == errno.EROFS

    def _name(self, path: object, folder: object) -> str | None:
        """Where under the root it is; None elsewhere."""
        try:
            if isinstance(path, int):
                text = os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
            else:
                text = os.fsdecode(path)  # type: ignore[arg-type]
                if isinstance(folder, int) and folder >= 0:
                    text = f"{os.readlink(f'/proc/self/fd/{folder}')}/{text}"  # noqa: PTH115
        except (OSError, TypeError):
            return None
        text = os.path.abspath(text)  # noqa: PTH100 - links are not to be followed
        root = f"{self.root}/"
        return text[len(root) :].removesuffix(" (deleted)") if text.startswith(root) else None


_watching: Disk | None = None
_has_hook = False


def _heard(event: str, given: tuple[Any, ...]) -> None:
    if _watching is None or event not in EVENTS:
        return
    kind = EVENTS[event]
    if kind == "open" and (isinstance(given[0], int) or not given[2] & WRITES):
        return
    if kind == "mkdir" and Path(given[0]).is_dir():  # where nothing is made nothing can fail
        return
    _watching.note(kind, given[0], given[FOLDER_FD[kind]] if kind in FOLDER_FD else -1)


class _File:
    """A file that is written to, which says so."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        self._file.__enter__()
        return self

    def __exit__(self, *given: object) -> Any:
        return self._file.__exit__(*given)

    def write(self, data: Any) -> Any:
        self._disk.note("write", self._file.fileno())
        return self._file.write(data)

    def flush(self) -> None:
        self._disk.note("flush", self._file.fileno())
        self._file.flush()

    def truncate(self, size: int | None = None) -> int:
        self._disk.note("truncate", self._file.fileno())
        return int(self._file.truncate(size))


@contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """Count, and break, in this process."""
    global _watching, _has_hook
    if not _has_hook:
        sys.addaudithook(_heard)
        _has_hook = True
    places = ((os, "fsync"), (os, "pwrite"), (os, "write"), (io, "open"))  # os.fdopen goes through the last
    before = [(module, name, getattr(module, name)) for module, name in places]
    os.fsync, os.pwrite = _noting("fsync", os.fsync), _noting("pwrite", os.pwrite)
    os.write = _noting("write", os.write)
    io.open = _opening(io.open)  # type: ignore[assignment]
    _watching = disk
    try:
        yield disk
    finally:
        _watching = None
        for module, name, real in before:
            setattr(module, name, real)


def _noting(kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def do(descriptor: int, *given: Any) -> Any:
        if _watching is not None:
            _watching.note(kind, descriptor)
        return real(descriptor, *given)

    return do


def _opening(real: Callable[..., Any]) -> Callable[..., Any]:
    def do(path: Any, mode: str = "r", *given: Any, **more: Any) -> Any:
        file, disk = real(path, mode, *given, **more), _watching
        if disk is None or not set(mode) & set("wax+") or disk._name(file.fileno(), -1) is None:
            return file
        return _File(file, disk)

    return do


_for_ever: list[Any] = []
VARIABLE = "MURACE_TEST_FAULT"  # root, number of the operation, errno: for a process that is started elsewhere


def break_by_environment() -> None:
    """Watch from the start to the end of a process that is told so."""
    told = os.environ.get(VARIABLE)
    if told:
        root, at, number = told.rsplit(":", 2)
        _for_ever.append(watched(Disk(Path(root), int(at), int(number))))
        _for_ever[-1].__enter__()
