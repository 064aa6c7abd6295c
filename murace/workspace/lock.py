"""One writer per step."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from murace.errors import MachineError, WorkspaceError
from murace.system.disk import disk_error
from murace.system.files import sweep

TRIES = 100  # to lock a file that its last holder removes again and again


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the step's folder for one writer, by a kernel lock that dies with its process.

    Raises:
        WorkspaceError: another process holds it; the message says which.
        MachineError: the folder cannot be made or written to, or its file system knows no locks.
    """
    path = folder / ".lock"
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    descriptor = _acquire(path)
    try:
        try:
            _sign(descriptor, path)
            sweep(folder)
            yield
        finally:
            with suppress(OSError):  # it is for people only, and the step is over
                os.ftruncate(descriptor, 0)
            if [item.name for item in folder.iterdir()] == [path.name]:
                _leave_nothing(path, made)
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int:
    """The open and locked file. One that its last holder removed meanwhile protects nothing: then once more."""
    for _ in range(TRIES):
        descriptor = _open(path)
        if descriptor is None:
            continue
        try:
            _lock(descriptor, path)
            if _stands_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise WorkspaceError(f"{path.parent} is in use by other processes, one after the other: try again")


def _open(path: Path) -> int | None:
    """The file, made where there is none; None where its folder, which is made too, has gone since."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_error(error, path) from error


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EAGAIN and EACCES, POSIX's two words for it
        holder = _holder(path)
        raise WorkspaceError(f"{path.parent} is in use by {holder}: wait for it, or end that process") from None
    except OSError as error:
        raise MachineError(
            f"{path} cannot be locked ({error.strerror}): put the workspace on a file system that has locks"
        ) from error


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def _stands_at(descriptor: int, path: Path) -> bool:
    try:
        there, ours = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


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
