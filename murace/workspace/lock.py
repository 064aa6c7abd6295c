"""Lock a step's folder for one writing process: `.lock` in it, held through `filelock`.

The kernel holds the lock and drops it when the process ends, however that ends, so no lock is ever left over. What
stands in the file (process, host, since) is for people. It is written after the lock has been taken, and cleared before
it is given back; a process that waits for the lock changes nothing in it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from murace.errors import MachineError, WorkspaceError
from murace.system.disk import disk_error
from murace.system.files import sweep

if TYPE_CHECKING:
    from filelock import FileLock

TRIES = 100  # to lock a file in a folder that its last holder removes again and again
WAIT, POLL = 0.2, 0.02  # seconds: the file that was locked may be one that its last holder has just removed
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
LONGEST = 512  # bytes of the holder's line


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the step's folder for this process alone; the folder is made where there is none.

    Raises:
        WorkspaceError: another process holds it; the message says which.
        MachineError: the folder cannot be made or written to, or its file system has no locks.
    """
    from filelock import FileLock  # noqa: PLC0415 - loads OpenSSL, which takes longer than a Tab press may take

    path, descriptors = folder / ".lock", list[int]()
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    # Without a soft fallback: such a lock is a file that would outlive its process.
    lock = FileLock(path, WAIT, 0o600, poll_interval=POLL, fallback_to_soft=False, on_acquired=descriptors.append)
    _acquire(lock, path)
    try:
        try:
            _write_holder(descriptors[-1], path)
            sweep(folder)
            yield
        finally:
            with suppress(OSError):  # it is for people only, and the step is over
                os.ftruncate(descriptors[-1], 0)
            if [item.name for item in folder.iterdir()] == [path.name]:
                _remove_unused(path, made)
    finally:
        lock.release()


def _acquire(lock: "FileLock", path: Path) -> None:
    """Take the lock. Where its last holder removed the folder meanwhile, make the folder and try again."""
    for _ in range(TRIES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            lock.acquire()
        except FileNotFoundError:
            continue
        except TimeoutError:
            raise WorkspaceError(
                f"{path.parent} is in use by {_holder(path)}: wait for it, or end that process"
            ) from None
        except OSError as error:
            if error.errno in NO_LOCKS:
                raise MachineError(
                    f"{path} cannot be locked ({error.strerror}): put the workspace on a file system that has locks"
                ) from error
            raise disk_error(error, path) from error
        return
    raise WorkspaceError(f"{path.parent} is in use by other processes, one after the other: try again")


def _write_holder(descriptor: int, path: Path) -> None:
    """Write who holds the lock, from the second byte on: on Windows no other process can read the locked first one."""
    import socket  # noqa: PLC0415 - a Tab press needs none

    since = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f" process {os.getpid()} on {socket.gethostname()} since {since}".encode())
    except OSError as error:
        raise disk_error(error, path) from error


def _holder(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(1)
            return file.read(LONGEST).decode(errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def _remove_unused(path: Path, made: list[Path]) -> None:
    """Remove the lock file and the folders that were made for it: the step stopped before it wrote anything."""
    with suppress(OSError):
        path.unlink()
        for folder in made:
            folder.rmdir()
