"""Files that are whole or absent: the one place where artifacts are written, and how they are told apart."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from murace.errors import MachineError, WorkspaceError

PRIVATE = 0o600
PUBLIC = 0o644
TEMPORARY = ".tmp."


@contextmanager
def atomic(path: Path, *, mode: int = PUBLIC) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; on leaving, make it durable and put it in place in one rename.

    If the block raises, `path` is as it was and nothing is left behind.

    Raises:
        MachineError: the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(error: OSError, path: Path) -> MachineError:
    """The one-line story of a failed write."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return MachineError(f"disk full while writing {path}: free some space and run the same command again")
    return MachineError(f"cannot write {path}: {error.strerror or error}")


def write_bytes(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write `data` atomically."""
    with atomic(path, mode=mode) as file:
        file.write(data)


def write_text(path: Path, text: str, *, mode: int = PUBLIC) -> None:
    """Write `text` as UTF-8, atomically."""
    write_bytes(path, text.encode(), mode=mode)


def write_json(path: Path, value: Any, *, mode: int = PUBLIC) -> None:
    """Write `value` as JSON, atomically; NaN is refused (use None)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", mode=mode)


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        WorkspaceError: the file is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged ({error}); run the step that writes it with --fresh") from error


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file's bytes."""
    import hashlib  # noqa: PLC0415 - OpenSSL takes longer to load than a Tab press may take for all of it

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """The SHA-256 of a JSON value in its canonical form."""
    import hashlib  # noqa: PLC0415 - see `sha256`

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sweep(folder: Path) -> None:
    """Remove the temporary files that a killed process left in `folder`."""
    if folder.is_dir():
        for path in folder.glob(f".*{TEMPORARY}*"):
            path.unlink(missing_ok=True)
