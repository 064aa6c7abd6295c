"""Validate cells of csv files from outside: labels, groups, numbers of pixels; faults are reported with their lines."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from murace.data.tables.spelling import visible
from murace.data.tables.table import refuse
from murace.vocabulary import is_group

if TYPE_CHECKING:
    import pandas as pd


def pairs(column: "pd.Series[str]") -> list[tuple[int, str]]:
    """Line and text of every cell of a column whose index holds the lines."""
    return cast("list[tuple[int, str]]", list(zip(column.index.tolist(), column.tolist(), strict=True)))


def check(path: Path, column: "pd.Series[str]", fault_of: Callable[[str], str | None], what: str) -> None:
    """Stop if `fault_of` finds fault with a cell.

    Raises:
        DataError: it does; the message names `what`, and the first few lines.
    """
    known = {value: fault_of(value) for value in column.unique()}
    refuse(path, [(line, f"{known[value]}: '{value}'") for line, value in pairs(column) if known[value]], what)


def fault_of_label(label: str) -> str | None:
    """Why `label` is not exactly 0 or 1; None where it is."""
    if label in ("0", "1"):
        return None
    try:
        number = float(visible(label))
    except ValueError:
        return "empty" if not visible(label) else "not a number"
    return f"write it as {int(number)}" if number in (0, 1) else "another number"


def fault_of_group(group: str) -> str | None:
    """Why `group` may not name a group; None where it may."""
    if is_group(group):
        return None
    hint = visible(group).lower().replace(" ", "_")
    return f"write it as '{hint}'" if is_group(hint) else "not a group's name (lower case letters, digits, - and _)"


def fault_of_pixels(count: str) -> str | None:
    """Why `count` is not a number of pixels; None where it is."""
    is_count = count.isascii() and count.isdecimal() and len(count) < 10 and int(count) > 0
    return None if is_count else "not a whole number"
