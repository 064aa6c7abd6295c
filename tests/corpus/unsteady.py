"""Cases 25 and 26: files that may not be read, and files that change while they are.

The tests may run as root, whom no mode keeps out; so the system's calls are made to answer as they would to others.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.case import REFUSED, Case, prepare
from tests.corpus.images import whole
from tests.corpus.manifests import reasons
from tests.corpus.names import COUNT, listed, says
from tests.data.files import make_mura

ODD = "odd.png"


@dataclass(frozen=True)
class Unsteady:
    """A case, and what happens while it is carried out."""

    case: Case
    fault: Callable[[pytest.MonkeyPatch], None]


def denied(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A file or folder of that name may not be opened, and what is in the folder not even looked at."""
    open_file, open_folder, look = Path.open, os.scandir, os.stat

    def refuse(path: Any, *, itself: bool = True) -> None:
        *above, last = Path(os.fsdecode(path)).parts if not isinstance(path, int) else ("", "")
        if name in above or (itself and name == last):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    def opened(path: Path, *given: Any, **more: Any) -> Any:
        refuse(path)
        return open_file(path, *given, **more)

    def searched(path: Any = ".") -> Any:
        refuse(path)
        return open_folder(path)

    def looked(path: Any, **more: Any) -> Any:
        refuse(path, itself=False)
        return look(path, **more)

    def fault(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Path, "open", opened)
        monkeypatch.setattr(os, "scandir", searched)
        monkeypatch.setattr(os, "stat", looked)

    return fault


def meanwhile(change: Callable[[Path], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Something happens to the odd file once it is open."""
    look = os.fstat

    def looked(descriptor: int) -> os.stat_result:
        state = look(descriptor)
        path = Path("source", ODD)
        if path.exists() and os.path.samestat(state, path.stat()):
            change(path)
        return state

    return lambda monkeypatch: monkeypatch.setattr("murace.data.decode.os.fstat", looked)


def grow(path: Path) -> None:
    """One more byte."""
    with path.open("ab") as file:
        file.write(b"x")


def touch(path: Path) -> None:
    """As many bytes as before, at another time."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


def listing_first(change: Callable[[], object]) -> Callable[[pytest.MonkeyPatch], None]:
    """Something happens after the source has been listed and before its files are read."""
    from murace.data import reading

    create = reading.pixelfile.create

    def created(*given: Any) -> None:
        create(*given)
        change()

    return lambda monkeypatch: monkeypatch.setattr(reading.pixelfile, "create", created)


def odd(folder: Path) -> Any:
    """The carrier with a good file more."""
    return listed(folder, ODD, whole())


def mura(folder: Path) -> Any:
    """A small MURA folder."""
    make_mura(folder / "source", patients=4)
    return prepare("source")


def refused(number: str, name: str, reason: str) -> Case:
    """The odd file is refused for that reason; what becomes of it is not murace's doing."""
    return Case(
        number=number,
        name=name,
        build=odd,
        says=COUNT,
        leaves=REFUSED,
        check=says(reason, ODD),
        moves=(f"source/{ODD}",),
    )


def exchange() -> None:
    """A folder of the same name."""
    Path("source", ODD).unlink()
    Path("source", ODD).mkdir()


CHANGED = "changed while it was read"
UNSTEADY = [
    Unsteady(refused("25a", "an unreadable file", "cannot be read: Permission denied"), denied(ODD)),
    Unsteady(
        Case(number="25b", name="an unreadable manifest", build=odd, says="csv cannot be read: Permission denied"),
        denied("manifest.csv"),
    ),
    Unsteady(
        Case(number="25c", name="an unreadable csv of MURA", build=mura, says="csv cannot be read: Permission denied"),
        denied("train_image_paths.csv"),
    ),
    Unsteady(
        Case(
            number="25d", name="an unreadable folder", build=mura, says="2 of 32 radiographs cannot be used",
            leaves=REFUSED, check=reasons(*["cannot be read: Permission denied"] * 2),
        ),
        denied("patient00001"),
    ),
    Unsteady(refused("26a", "it grows", CHANGED), meanwhile(grow)),
    Unsteady(refused("26b", "it is written anew", CHANGED), meanwhile(touch)),
    Unsteady(refused("26c", "it shrinks", CHANGED), meanwhile(lambda path: os.truncate(path, 40))),
    Unsteady(refused("26d", "it goes", "missing"), listing_first(lambda: Path("source", ODD).unlink())),
    Unsteady(refused("26e", "a folder takes its place", "not a regular file"), listing_first(exchange)),
]  # fmt: skip
