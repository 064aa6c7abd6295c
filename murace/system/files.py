"""Write files atomically, read JSON strictly, hash files, and remove what a killed process left.

Own code: atomicwrites, which is no longer maintained, neither hashes nor reads back what it has written.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import IO, Any

from murace.errors import MachineError, WorkspaceError
from murace.system.disk import disk_error

PRIVATE = 0o600
PUBLIC = 0o644
TEMPORARY = ".tmp."
LARGEST_JSON = 64 * 2**20  # bytes


class DigestWriter:
    """A file open for writing from its start to its end, which counts and hashes what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        import hashlib  # noqa: PLC0415 - see `sha256`

        self._file, self._digest, self.length = file, hashlib.sha256(), 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data`."""
        self.length += memoryview(data).nbytes  # first: where it fails, this is what was needed
        self._file.write(data)
        self._digest.update(data)
        return self.length

    def tell(self) -> int:
        """How many bytes have been written."""
        return self.length

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of what has been written."""
        return self._digest.hexdigest()


@contextmanager
def atomic(path: Path, *, mode: int = PUBLIC) -> Iterator[DigestWriter]:
    """Open a temporary file beside `path`; on leaving, make it durable and put it in place in one rename.

    In this order: write, fsync, read back and compare the SHA-256, rename, fsync of the folder. If the block or one of
    these fails, `path` is as it was and nothing is left behind; only after a failed fsync of the folder the new content
    stands there, whole, and may be gone after a power cut.

    Raises:
        MachineError: the disk is full, the folder cannot be written to, or the disk does not hold what was written.
    """
    temporary = _temporary_path(path)
    writer, is_placed = None, False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                writer = DigestWriter(file)
                yield writer
                file.flush()
                os.fsync(descriptor)
                _drop_from_cache(descriptor)
            _verify(temporary, writer.sha256, path)
            temporary.replace(path)
            is_placed = True
        except BaseException:
            with suppress(OSError):  # the first error is the one to report; the next run sweeps
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path, need=writer.length if writer else 0, intact=not is_placed) from error


def _drop_from_cache(descriptor: int) -> None:
    """Drop the file from the page cache, where the system can, so that what is read back comes from the disk."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _verify(temporary: Path, written: str, path: Path) -> None:
    if sha256(temporary) != written:
        raise MachineError(f"the disk does not hold what was written to {path}; what stood there before is intact")


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, *, mode: int = PUBLIC) -> str:
    """Write `data` atomically; returns its SHA-256."""
    with atomic(path, mode=mode) as writer:
        writer.write(data)
    return writer.sha256


def write_text(path: Path, text: str, *, mode: int = PUBLIC) -> None:
    """Write `text` as UTF-8, atomically."""
    write_bytes(path, text.encode(), mode=mode)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically; NaN is refused (use None)."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        WorkspaceError: the file is not JSON.
    """
    try:
        with path.open("rb") as file:
            return parse_json(file.read(LARGEST_JSON + 1))
    except ValueError as error:
        raise WorkspaceError(f"{path} is damaged ({error}); run the step that writes it with --fresh") from error


def parse_json(data: bytes | str) -> Any:
    """Parse JSON strictly: no duplicate keys, no NaN, not too long or deep.

    Raises:
        ValueError: it is not such a text; the message quotes nothing of it.
    """
    if len(data) > LARGEST_JSON:
        raise ValueError("it is too long")
    try:
        return json.loads(data, object_pairs_hook=_without_duplicate_keys, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None


def _without_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


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


def sweep(folder: Path, *, deep: bool = False) -> None:
    """Remove what a killed process left half written or half removed in `folder`; `deep`: and in the folders in it."""
    if not folder.is_dir():
        return
    for path in list((folder.rglob if deep else folder.glob)(f".*{TEMPORARY}*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sweep_beside(path: Path) -> None:
    """Remove what a killed process left half written of `path` itself, and nothing else in its folder."""
    for left in path.parent.glob(f".{escape(path.name)}{TEMPORARY}*"):
        left.unlink(missing_ok=True)


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """In words, how two tables of files (name -> SHA-256) differ."""
    found = []
    for name in sorted({*before, *now}):
        if name not in before:
            found.append(f"{name} is new")
        elif name not in now:
            found.append(f"{name} is gone")
        elif before[name] != now[name]:
            found.append(f"{name} has changed")
    return found


def discard(folder: Path) -> None:
    """Remove a folder, which is gone at once: a kill leaves it whole, or as something that `sweep` removes.

    Raises:
        MachineError: it cannot be removed.
    """
    gone = _temporary_path(folder)
    try:
        folder.rename(gone)
        shutil.rmtree(gone)
    except FileNotFoundError:
        return
    except OSError as error:  # what is left could be taken for the next run's
        raise disk_error(error, folder) from error


def _temporary_path(path: Path) -> Path:
    """A hidden, unique name in the same folder."""
    return path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}.{os.urandom(4).hex()}")
