"""Tables of the report as data (cells, rows, blocks, columns), for HTML, LaTeX and csv alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from murace.report.text.formats import DASH, interval, is_missing, score

Line = Mapping[Any, Any]  # column -> value
Lines = Mapping[tuple[str, ...], Line]
DIGITS = 12  # equal to this many digits is equal: the rule of `murace.metrics.selection`


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One value with what stands beside it (the change, the paper's number) and under it (an interval, a p-value)."""

    text: str
    best: bool = False
    chosen: bool = False
    change: str = ""
    detail: str = ""
    remark: str = ""
    paper: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A named line of cells; `total` sets it apart from the lines above, `mark` is a warning under its name."""

    name: str
    cells: Sequence[Cell]
    total: bool = False
    mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Lines under a common heading; the heading may be empty."""

    name: str
    rows: Sequence[Row]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's heading, with a small second line and a warning."""

    name: str
    detail: str = ""
    mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A whole table: `spans` is an optional upper line of headings, each over several columns."""

    key: str
    number: str
    caption: str
    corner: str
    columns: Sequence[Column]
    blocks: Sequence[Block]
    spans: Sequence[tuple[str, int]] = ()
    notes: Sequence[str] = ()

    @property
    def length(self) -> int:
        """How many lines of values it has."""
        return sum(len(block.rows) for block in self.blocks)

    @property
    def has_undefined(self) -> bool:
        """Whether a value is a dash."""
        return any(cell.text == DASH for block in self.blocks for row in block.rows for cell in row.cells)


def by_columns(frame: pd.DataFrame, *columns: str) -> Lines:
    """The lines of a frame by the texts in some of its columns; of lines with the same texts the last."""
    return {tuple(str(line[column]) for column in columns): line for line in frame.to_dict("records")}


def score_cell(line: Line) -> Cell:
    """A line's `value` with its interval, `low` to `high`, under it; a dash for an empty line."""
    return Cell(text=score(line.get("value")), detail=interval(line.get("low"), line.get("high")))


def best_of(values: Sequence[float], *, lowest: bool = False) -> set[int]:
    """The places of the largest (or lowest) values, all where several are equal; undefined values never win."""
    rounded = {place: round(value, DIGITS) for place, value in enumerate(values) if not is_missing(value)}
    best = min if lowest else max
    return {place for place, value in rounded.items() if value == best(rounded.values())}
