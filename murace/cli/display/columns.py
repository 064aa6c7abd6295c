"""A table of numbers that fits its terminal: columns that do not fit side by side go into another table below."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from murace.cli.display.console import printable

GAPS = (2, 1)  # between columns: what is wanted, and what will do
WIDEST = 20  # of a column of words; longer ones are folded
NARROW = 13  # characters of a heading above numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A heading and its cells, one per row; `aligned` cells have been brought under each other already."""

    heading: Text
    cells: Sequence[Text]
    aligned: bool = False

    @property
    def width(self) -> int:
        """How many columns of the terminal it takes."""
        return _width(self.heading, *self.cells)

    @property
    def shown(self) -> list[Text]:
        """The cells; those that are aligned already moved together to the right edge."""
        indent = " " * (self.width - _width(*self.cells)) if self.aligned and self.cells else ""
        return [Text.assemble(indent, cell) for cell in self.cells]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """A table under its title; `words` begin every part of it, `numbers` are dealt to as many parts as it takes.

    `sections` are the rows after which there is a gap.
    """

    title: str
    words: Sequence[Column]
    numbers: Sequence[Column]
    sections: Sequence[int] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title and a table for every part; it is set closer where that keeps it in one."""
        ways = {gap: self._parts(options.max_width, gap) for gap in GAPS}
        gap = next((gap for gap, parts in ways.items() if len(parts) == 1), GAPS[0])
        for some in ways[gap]:
            yield Text(f"\n{self.title}", style="italic")
            yield self._table(some, gap)

    def _parts(self, width: int, gap: int) -> list[Sequence[Column]]:
        taken = sum(min(column.width, WIDEST) + gap for column in self.words)
        return list(_dealt(self.numbers, width - taken, gap))

    def _table(self, numbers: Sequence[Column], gap: int) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
        for column in self.words:
            table.add_column(column.heading, overflow="fold", max_width=WIDEST)
        for column in numbers:
            column.heading.justify = "right"
            justify: JustifyMethod = "left" if column.aligned else "right"  # to the right, rich drops what was aligned
            table.add_column(column.heading, justify=justify, overflow="fold", min_width=column.width)
        for place, cells in enumerate(zip(*(column.shown for column in (*self.words, *numbers)), strict=True)):
            table.add_row(*cells, end_section=place in self.sections)
        return table


def _width(*cells: Text) -> int:
    return max(cell_len(line) for cell in cells for line in cell.plain.split("\n"))


def _dealt(columns: Sequence[Column], room: int, gap: int) -> Iterator[Sequence[Column]]:
    """As many columns at a time as there is room for, and never none."""
    some: list[Column] = []
    for column in columns:
        if some and sum(item.width + gap for item in some) + column.width > room:
            yield some
            some = []
        some.append(column)
    yield some


def words(text: str, *, style: str = "") -> Text:
    """Words from outside: neither rich's markup nor the terminal's own commands."""
    return Text(printable(text, keep="\n"), style=style)


def heading(name: str) -> Text:
    """A name above numbers, folded to be narrow."""
    parts = printable(name).replace("+", "+\n").split("\n")
    return Text("\n".join(part[start : start + NARROW] for part in parts for start in range(0, len(part), NARROW)))
