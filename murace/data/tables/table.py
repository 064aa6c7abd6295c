"""Read csv files from outside strictly: UTF-8, every row as long as the others, every row with its line number."""

import csv
import io
import re
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.data.tables.spelling import visible
from murace.errors import DataError

SHOWN = 5  # bad rows that a message names
MAX_FILE = 1 << 28  # bytes; ten million rows of MURA would not need more
SEPARATORS = (",", ";", "\t")  # Excel writes semicolons where the comma is the decimal sign
_EXCEL = re.compile(r"\Asep=[,;\t]\r?\n", re.IGNORECASE)  # a first line that Excel writes and reads
_HEADER = 1 << 17  # characters at the start of a file in which its first row ends, else no field of it is allowed


@dataclass(frozen=True)
class Table:
    """The rows of a csv file and the line each of them begins on; blank lines are left out."""

    path: Path
    rows: list[list[str]]
    lines: list[int]
    separator: str = SEPARATORS[0]


def read_table(path: Path, *, columns: int | None = None, known: Collection[str] = ()) -> Table:
    """Read a csv file, its columns separated by commas, semicolons or tabs: by what most columns' names are known with.

    Args:
        path: the file.
        columns: how many each row must have (default: as many as the first).
        known: names of columns that the first row may hold; one of them with invisible characters around is that name.

    Raises:
        DataError: the file is missing, unreadable, not UTF-8, not a csv file, or has rows of another length.
    """
    whole = _text(path)
    text = _EXCEL.sub("", whole, count=1)
    table = Table(path, [], [], _separator(text, known))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=table.separator, strict=True)
    before = int(text != whole)  # lines
    line = 1 + before
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                table.rows.append(row)
                table.lines.append(line)
            line = reader.line_num + 1 + before
    except csv.Error as error:
        raise DataError(f"{path} is not a csv file: line {reader.line_num + before}: {error}") from error
    if table.rows:
        table.rows[0] = [visible(name) if visible(name) in known else name for name in table.rows[0]]
    width = columns or len(table.rows[0] if table.rows else [])
    refuse(
        path,
        [(line, f"{len(row)} columns") for row, line in _pairs(table) if len(row) != width],
        f"not {width} columns",
    )
    return table


def _separator(text: str, known: Collection[str]) -> str:
    """The separator with which the first row holds most of the `known` names; the comma where several do."""

    def found(separator: str) -> int:
        reader = csv.reader(io.StringIO(text[:_HEADER], newline=""), delimiter=separator, strict=True)
        try:
            header = next((row for row in reader if any(cell.strip() for cell in row)), [])
        except csv.Error:  # quotes that end before this separator
            return 0
        return len({visible(name) for name in header} & set(known))

    return max(SEPARATORS, key=found)


def refuse(path: Path, faults: Sequence[tuple[int, str]], what: str) -> None:
    """Stop if there are faults; name the first few and how many there are.

    Raises:
        DataError: `faults`, pairs of line and detail, is not empty.
    """
    if faults:
        more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        shown = "; ".join(f"line {line}: {ascii_safe(detail)}" for line, detail in faults[:SHOWN])
        raise DataError(f"{path}: {what} ({shown}{more})")


def few(names: Sequence[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(ascii_safe(name) for name in names[:SHOWN]) + more


def ascii_safe(text: str) -> str:
    """`text` with whatever a terminal might obey written as an escape, and not too long."""
    safe = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return safe if len(safe) <= 200 else f"{safe[:200]}..."


def _pairs(table: Table) -> list[tuple[list[str], int]]:
    return list(zip(table.rows, table.lines, strict=True))


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe might never answer, a device never end
            raise DataError(f"{path} is not a regular file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise DataError(f"{path} is too large for a csv file: more than {MAX_FILE >> 20} MiB")
    if b"\0" in data:
        raise DataError(f"{path} is not a UTF-8 csv file: it has NUL bytes (UTF-16?); save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a UTF-8 csv file (byte {error.start}); save it as UTF-8") from error
