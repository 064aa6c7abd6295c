"""What a disk refuses, told so that a person can mend it: what is needed, and what there is."""

import errno
import shutil
from pathlib import Path

from murace.errors import MachineError

FULL = (errno.ENOSPC, errno.EDQUOT)
MEGA = 1e6


def disk_error(error: OSError, path: Path, *, need: int = 0) -> MachineError:
    """The one-line story of a failed write to `path`; `need` is how many bytes were to stand there, where known."""
    if error.errno in FULL:
        return MachineError(
            f"disk full while writing {path}: {_needed(need)}{_mb(free_space(path))} are free in {_place(path)}; "
            "what stood there before is intact. Free some space and run the same command again"
        )
    return MachineError(f"cannot write {path}: {error.strerror or error}; what stood there before is intact")


def require_space(folder: Path, need: int, what: str, mend: str) -> None:
    """Make sure, before anything is written, that `need` bytes fit into `folder`, which need not be there yet.

    Raises:
        MachineError: they do not; the message says what is needed, what there is, and `mend`.
    """
    free = free_space(folder)
    if need > free:
        raise MachineError(f"{what} need {_mb(need)} in {folder} and {_mb(free)} are free: {mend}")


def free_space(path: Path) -> int:
    """The bytes that may still be written where `path` is or would be."""
    return shutil.disk_usage(_place(path)).free


def _place(path: Path) -> Path:
    """The nearest folder that is there."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path("/"))


def _needed(need: int) -> str:
    return f"{_mb(need)} are needed and " if need else ""


def _mb(size: int) -> str:
    return f"{size / MEGA:,.1f} MB" if size < 100 * MEGA else f"{size / MEGA:,.0f} MB"
