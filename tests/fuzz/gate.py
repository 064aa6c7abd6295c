"""What a target is, and where it may write."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A gate: `enter` takes any bytes and raises at most `errors`; `seeds` are bytes worth changing."""

    name: str
    enter: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    is_plain: bool = False  # its errors are written down as they are; others are made printable where they are shown

    def try_(self, data: bytes) -> bool:
        """Whether the gate lets these bytes in; what is none of its errors comes out."""
        try:
            self.enter(data)
        except self.errors as error:
            if self.is_plain and not str(error).isprintable():
                raise AssertionError(f"an error that is no single plain line: {error!r}") from error
            return False
        return True


@cache
def scratch() -> Path:
    """A folder in memory, where there is one: a disk would be most of the time."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="murace-fuzz-", dir=memory if memory.is_dir() else None)).resolve()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def written(name: str, data: bytes) -> Path:
    """The bytes as a file."""
    path = scratch() / name
    path.write_bytes(data)
    return path
