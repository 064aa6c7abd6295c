"""Cases 25 and 26: files that may not be read, and files that change while they are.

The tests may run as root, whom no mode keeps out; so the system's calls are made to answer as they would to others.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.case import REFUSED, Case, prepare
from tests.corpus.images import whole
from tests.corpus.manifests import reasons
from tests.corpus.names import COUNT, listed, says
from tests.data.files import make_mura

ODD = "odd.png"


Patch = Callable[[pytest.MonkeyPatch], None]


def meanwhile(patch: Patch) -> Callable[[], AbstractContextManager[None]]:
    """The system answers otherwise for as long as a case is carried out."""

    @contextmanager
    def patched() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as monkeypatch:
            patch(monkeypatch)
            yield

    return patched


def denied(name: str) -> Patch:
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


def once_open(change: Callable[[Path], object]) -> Patch:
    """Something happens to the odd file once it is open."""
    look = os.fstat

    def looked(descriptor: int) -> os.stat_result:
        state = look(descriptor)
        path = Path("source", ODD)
        if path.exists() and os.path.samestat(state, path.stat()):
            change(path)
        return state

    return lambda monkeypatch: monkeypatch.setattr("murace.data.images.decode.os.fstat", looked)


def grow(path: Path) -> None:
    """One more byte."""
    with path.open("ab") as file:
        file.write(b"x")


def touch(path: Path) -> None:
    """As many bytes as before, at another time."""
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


def once_listed(change: Callable[[], object]) -> Patch:
    """Something happens after the source has been listed and before its files are read."""
    from murace.data.ingest import read_all

    create = read_all.pixelfile.create

    def created(*given: Any) -> None:
        create(*given)
        change()

    return lambda monkeypatch: monkeypatch.setattr(read_all.pixelfile, "create", created)


def odd(folder: Path) -> Any:
    """The carrier with a good file more."""
    return listed(folder, ODD, whole())


def mura(folder: Path) -> Any:
    """A small MURA folder."""
    make_mura(folder / "source", patients=4)
    return prepare("source")


def exchange() -> None:
    """A folder of the same name."""
    Path("source", ODD).unlink()
    Path("source", ODD).mkdir()


def refused(number: str, name: str, reason: str, patch: Patch) -> Case:
    """The odd file is refused for that reason; what becomes of it is not murace's doing."""
    return Case(
        number=number, name=name, build=odd, during=meanwhile(patch), says=COUNT,
        leaves=REFUSED, check=says(reason, ODD), moves=(f"source/{ODD}",),
    )  # fmt: skip


def closed(number: str, name: str, build: Callable[[Path], Any], file: str) -> Case:
    """A csv file that may not be read."""
    words = f"{file} cannot be read: Permission denied"
    return Case(number=number, name=name, build=build, during=meanwhile(denied(file)), says=words)


CHANGED, DENIED = "changed while it was read", "cannot be read: Permission denied"
UNSTEADY = [
    refused("25a", "an unreadable file", DENIED, denied(ODD)),
    closed("25b", "an unreadable manifest", odd, "manifest.csv"),
    closed("25c", "an unreadable csv of MURA", mura, "train_image_paths.csv"),
    Case(
        number="25d", name="an unreadable folder", build=mura, during=meanwhile(denied("patient00001")),
        says="2 of 32 radiographs cannot be used", leaves=REFUSED, check=reasons(DENIED, DENIED),
    ),
    refused("26a", "it grows", CHANGED, once_open(grow)),
    refused("26b", "it is written anew", CHANGED, once_open(touch)),
    refused("26c", "it shrinks", CHANGED, once_open(lambda path: os.truncate(path, 40))),
    refused("26d", "it goes", "missing", once_listed(lambda: Path("source", ODD).unlink())),
    refused("26e", "a folder takes its place", "not a regular file", once_listed(exchange)),
]  # fmt: skip
