"""The layout of a LaTeX table: which columns break their lines, and where a long table is cut into pages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from murace.report.text.grid import Block, Cell, Row, Table

LONG = 26  # letters; a column with longer texts breaks its lines
LONGEST = 80  # letters; longer texts make their column no wider
LETTERS_PER_LINE = 80  # of the whole text width, in small print
NARROW = 0.13  # of the text width: about what an unbroken column takes
LINES_PER_PAGE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The columns, the row names first: the share of the text width of those that break lines, 0 for the others."""

    shares: Sequence[float]
    is_plain: bool

    @property
    def columns(self) -> str:
        """The argument of LaTeX's tabular: plain numbers to the right, cells with more than a number centred."""
        unbroken = ["l", *("r" if self.is_plain else "c" for _ in self.shares[1:])]
        pairs = zip(self.shares, unbroken, strict=True)
        return "".join(f"p{{{share:.2f}\\linewidth}}" if share else letter for share, letter in pairs)

    def under(self, row: Row) -> list[list[str]]:
        """The lines under a row, its warning first: changes, details and remarks, each only where there is one."""
        cells = list(zip(row.cells, self.shares[1:], strict=True))
        changes = [f"({cell.change})" if cell.change and not share else "" for cell, share in cells]
        details = ["" if share else cell.detail for cell, share in cells]
        remarks = ["" if share else cell.remark for cell, share in cells]
        lines = [line for line in (changes, details, remarks) if any(line)]
        if row.mark and not lines:
            lines = [[""] * len(cells)]
        return [[row.mark if place == 0 else "", *line] for place, line in enumerate(lines)]

    def lines(self, row: Row) -> int:
        """About how many lines a row takes."""
        pairs = zip([row.name, *map(whole, row.cells)], self.shares, strict=True)
        broken = [math.ceil(len(text) / (share * LETTERS_PER_LINE)) for text, share in pairs if share]
        return max([1 + len(self.under(row)), *broken])


def whole(cell: Cell) -> str:
    """A cell's text with what stands under it, for a column that breaks its lines."""
    return "; ".join(text for text in (cell.text, cell.change, cell.detail, cell.remark) if text)


def shape(table: Table) -> Shape:
    """Give long columns the width that the others leave, by the length of their longest text."""
    rows = [row for block in table.blocks for row in block.rows]
    texts = [[row.name for row in rows]]
    texts += [[row.cells[place].text for row in rows] for place in range(len(table.columns))]
    longest = [max(map(len, column), default=0) for column in texts]
    weights = [min(length, LONGEST) if length > LONG else 0 for length in longest]
    room = max(0.4, 0.96 - NARROW * weights.count(0))
    return Shape(
        shares=[room * weight / max(1, sum(weights)) for weight in weights],
        is_plain=not any(cell.detail or cell.change or cell.remark for row in rows for cell in row.cells),
    )


def pages(table: Table, shape: Shape) -> list[list[Block]]:
    """Cut a table to pages: before a block where it fits whole on a page, otherwise within it."""
    filled: list[list[Block]] = [[]]
    used = 0
    for part in [part for block in table.blocks for part in _parts(block, shape)]:
        length = 1 + sum(map(shape.lines, part.rows))
        if filled[-1] and used + length > LINES_PER_PAGE:
            filled.append([])
            used = 0
        filled[-1].append(part)
        used += length
    return filled


def _parts(block: Block, shape: Shape) -> list[Block]:
    """A block that is longer than a page, in parts of a page each."""
    if 1 + sum(map(shape.lines, block.rows)) <= LINES_PER_PAGE:
        return [block]
    parts: list[list[Row]] = [[]]
    used = 1
    for row in block.rows:
        used += shape.lines(row)
        if parts[-1] and used > LINES_PER_PAGE:
            parts.append([])
            used = 1 + shape.lines(row)
        parts[-1].append(row)
    return [Block(name=block.name, rows=rows) for rows in parts]
