"""One writer per step."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from murace.disk import disk_error
from murace.errors import WorkspaceError
from murace.files import sweep


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the step's folder for one writer, by a kernel lock that dies with its process.

    Raises:
        WorkspaceError: another process holds it; the message says which.
        MachineError: the folder cannot be made or written to.
    """
    path = folder / ".lock"
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = path.read_text(errors="replace").strip() or "another process"
            raise WorkspaceError(f"{folder} is in use by {holder}: wait for it, or end that process") from None
        try:
            _sign(descriptor, path)
            sweep(folder)
            yield
        finally:
            os.ftruncate(descriptor, 0)
            if [item.name for item in folder.iterdir()] == [path.name]:
                _leave_nothing(path, made)
    finally:
        os.close(descriptor)


def _sign(descriptor: int, path: Path) -> None:
    """Say in the lock file who holds it; for people only, the kernel holds the lock."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0)
    except OSError as error:
        raise disk_error(error, path) from error


def _leave_nothing(path: Path, made: list[Path]) -> None:
    """Remove the lock file and the folders that were made for it: the step stopped before it wrote anything."""
    with suppress(OSError):
        path.unlink()
        for folder in made:
            folder.rmdir()
