"""Validate file paths and ids from csv files, and locate listed files inside their source."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from murace.data.images.header import ImageError
from murace.data.tables.spelling import visible

MAX_LENGTH = 1024
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # a spreadsheet would run them; the last four are full-width
_NUMBER = re.compile(r"[+-](?:(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?\s?%?)?", re.ASCII)
_BIDI = {*"\u200e\u200f\u061c", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
_UNTIDY = re.compile(r"//|(?:^|/)\.(?:/|$)|/$|^$")  # what a Path makes tidy, slowly; most names have none of it
NO_PATH = "a path that cannot be used; each begins in the folder of the csv"
LEADS_OUT, CIRCLE = "a link that leads out of the source", "a link that leads in a circle"
_SIDECARS = ("._", ".DS_Store", "__MACOSX")


def is_sidecar(path: str) -> bool:
    """Whether macOS left this beside the real files: `._*`, `.DS_Store`, anything under `__MACOSX`."""
    return any(part.startswith(_SIDECARS[0]) or part in _SIDECARS[1:] for part in path.split("/"))


def fault_of_id(name: str) -> str | None:
    """Why `name` may not be an id; None where it may."""
    if not visible(name):
        return "empty"
    if (fault := fault_of_value(name)) is not None:
        return fault
    if name.startswith(_FORMULA):
        return "begins with one of = + - @"
    if ".." in name.split("/"):
        return "'..' in it"
    return "an absolute path" if name.startswith("/") else None


def fault_of_value(value: str) -> str | None:
    """Why `value` may not stand in a column that is carried along; None where it may (it may be empty)."""
    if len(value) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    if value.isascii() and value.isprintable():  # nearly always, and quickly said
        return None
    hidden = any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _BIDI for letter in value)
    return "a control character" if hidden else None


def fault_of_text(value: str) -> str | None:
    """Why `value` may not stand in a column of the user's that goes into our csv files; None where it may.

    Numbers may have a sign, and a sign alone, a common mark for "missing", runs nothing.
    """
    if value.startswith(_FORMULA) and not _NUMBER.fullmatch(value):
        return "begins with one of = + - @ and is no number: a spreadsheet would run it"
    return fault_of_value(value)


def fault_of_path(path: str) -> str | None:
    """Why `path` may not name a file inside the source; None where it may."""
    if "\\" in path:
        return "a backslash: separate folders with /"
    if path[1:2] == ":" and path[:1].isalpha():
        return "an absolute path"
    fault = fault_of_id(path)
    return "no file name" if fault is None and path.rpartition("/")[2] in ("", ".") else fault


def normal(path: str) -> str:
    """`path` without `.` parts and doubled slashes, so that one file has one name."""
    return PurePosixPath(path).as_posix() if _UNTIDY.search(path) else path


def below(table: Path, path: str) -> str:
    """A path as listed in `table`; an absolute one into the csv file's folder as all others, which begin there."""
    for root in (table.absolute().parent, table.parent.resolve()) if path.startswith("/") else ():
        if path.startswith(start := root.as_posix().rstrip("/") + "/"):
            return path.removeprefix(start).lstrip("/")
    return path


def locate(root: Path, path: str, *, follow_links: bool = False) -> Path:
    """The real place of a listed file, symbolic links followed; out of the source only with `follow_links`.

    Raises:
        ImageError: it lies outside the source, or its links never end.
    """
    if (fault := fault_of_path(path)) is not None:
        raise ImageError(fault)
    try:
        place = (root / path).resolve()
    except (OSError, RuntimeError):
        raise ImageError(CIRCLE) from None
    if not (follow_links or place.is_relative_to(root)):
        raise ImageError(LEADS_OUT)
    return place
