"""A table of numbers that fits its terminal: columns that do not fit side by side go into another table below."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from murace.cli.console import printable

GAP = 2  # between columns
WIDEST = 20  # of a column of words; longer ones are folded
NARROW = 13  # characters of a heading above numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A heading and its cells, one per row."""

    heading: Text
    cells: Sequence[Text]

    @property
    def width(self) -> int:
        """How many columns of the terminal it takes."""
        return max(cell_len(line) for cell in (self.heading, *self.cells) for line in cell.plain.split("\n"))


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
        """Yield the title and a table for every part."""
        taken = sum(min(column.width, WIDEST) + GAP for column in self.words)
        for some in _dealt(self.numbers, options.max_width - taken):
            yield Text(f"\n{self.title}", style="italic")
            yield self._table(some)

    def _table(self, numbers: Sequence[Column]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for column in self.words:
            table.add_column(column.heading, overflow="fold", max_width=WIDEST)
        for column in numbers:
            table.add_column(column.heading, justify="right", overflow="fold", min_width=column.width)
        for place, cells in enumerate(zip(*(column.cells for column in (*self.words, *numbers)), strict=True)):
            table.add_row(*cells, end_section=place in self.sections)
        return table


def _dealt(columns: Sequence[Column], room: int) -> Iterator[Sequence[Column]]:
    """As many columns at a time as there is room for, and never none."""
    some: list[Column] = []
    for column in columns:
        if some and sum(item.width + GAP for item in some) + column.width > room:
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
