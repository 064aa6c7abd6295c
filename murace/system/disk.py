"""Errors for failed writes, with what is needed and what is free; free disk space; sizes in bytes for people."""

import errno
import shutil
from pathlib import Path

from murace.errors import MachineError

FULL = (errno.ENOSPC, errno.EDQUOT)
UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def disk_error(error: OSError, path: Path, *, need: int = 0, intact: bool = False) -> MachineError:
    """The error for a failed write to `path`, in one line.

    Args:
        error: what the system said.
        path: the file or folder that was to be written.
        need: how many bytes were to stand there, where known.
        intact: whether what stood there before is as it was.
    """
    kept = "; what stood there before is intact" if intact else ""
    if error.errno not in FULL:
        return MachineError(f"cannot write {path}: {error.strerror or error}{kept}")
    problem = "disk full" if error.errno == errno.ENOSPC else "disk quota used up"
    return MachineError(
        f"{problem} while writing {path}: {_space(need, path)}{kept}. Free some space and run the same command again"
    )


def require_space(folder: Path, need: int, what: str, mend: str) -> None:
    """Make sure, before anything is written, that `need` bytes fit into `folder`, which need not be there yet.

    Raises:
        MachineError: they do not; the message says what is needed, what there is, and `mend`.
    """
    free = free_space(folder)
    if need > free:
        there = f"{size(free)} are free on {_mount_point(folder)}"
        raise MachineError(f"{what} need {size(need)} in {folder} and {there}: {mend}")


def free_space(path: Path) -> int:
    """The bytes that may still be written where `path` is or would be."""
    return shutil.disk_usage(_nearest_folder(path)).free


def size(count: int) -> str:
    """A number of bytes for people: `0.8 MB`, `1.2 GB`."""
    for unit, length in UNITS:
        if count >= 0.1 * length:
            return f"{count / length:,.1f} {unit}"
    return f"{count} bytes"


def _space(need: int, path: Path) -> str:
    """What is needed, as far as known, and what there is, as far as the disk still answers."""
    needed = f"{size(need)} are needed and " if need else ""
    try:
        return f"{needed}{size(free_space(path))} are free on {_mount_point(path)}"
    except OSError:
        return f"{needed}nothing is known of what is free"


def _nearest_folder(path: Path) -> Path:
    """The nearest folder that is there."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))


def _mount_point(path: Path) -> Path:
    """The mount point of the disk that holds `path`."""
    folder = _nearest_folder(path).resolve()
    return next(place for place in (folder, *folder.parents) if place.is_mount() or place == place.parent)
