r"""A table of the report as LaTeX, which needs booktabs alone, and as csv.

Own code: pandas' Styler knows no headings between blocks of rows, no smaller lines under a row and no cut into pages,
and it ends rows with `\\`, which starts a new line instead after `\raggedright`.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from murace.report.text import escape, floats
from murace.report.text.floats import Shape
from murace.report.text.formats import DASH
from murace.report.text.grid import Block, Cell, Row, Table

END = r" \tabularnewline"  # unlike \\, also valid after \raggedright
MANY = 9  # columns; so many need smaller print
SMALL = "\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
SMALLER = "\\scriptsize\n\\setlength{\\tabcolsep}{2pt}"
UNDEFINED = f"{DASH}: undefined or not recorded; never counted as 0."
GREY = "Grey:"  # from here on a note is about the paper's numbers, which are left out
SHADED, UNDERLINED = "Shaded:", "Underlined:"
INTERVAL = re.compile(r"(?<!\S)([\d.]+) to ([\d.]+)")  # not with a minus, which a dash would hide
ENDS = re.compile(r"(\S*\d) to (\S*\d)")


def latex(table: Table) -> str:
    r"""Set a table with booktabs, in several floats where it is longer than a page.

    Bold is the best, underlined the chosen; the change and the interval stand under a score. The paper's numbers are
    left out. Every text is escaped and in ASCII.

    Returns:
        One or more ``table`` environments, labelled ``tab:<key>``, ``tab:<key>-2`` and so on; the same table gives
        the same text.
    """
    shape = floats.shape(table)
    pages = floats.pages(table, shape)
    lines = [line for place, blocks in enumerate(pages) for line in _float(table, shape, blocks, place=place)]
    return "\n".join([*lines[:-1], *_notes(table), *lines[-1:], ""])


def table_csv(table: Table) -> str:
    """Write a table as CSV: `block, row`, then a column each.

    A cell is its text, the change in parentheses and the interval as ``low..high``, with spaces between; undefined is
    empty. The paper's numbers are left out. No cell begins a spreadsheet's formula.
    """
    lines = [["block", "row", *_headings(table)]]
    lines += [
        [block.name, row.name, *(_csv_cell(cell) for cell in row.cells)] for block in table.blocks for row in block.rows
    ]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([escape.spreadsheet(text) for text in line] for line in lines)
    return file.getvalue()


def _float(table: Table, shape: Shape, blocks: Sequence[Block], *, place: int) -> Iterator[str]:
    label = re.sub("[^a-z0-9]+", "-", table.key.lower()) + (f"-{place + 1}" if place else "")
    yield rf"% {escape.latex(table.number)}: needs \usepackage{{booktabs}}"
    yield "\\begin{table}[htbp]\n\\centering"
    if place:
        yield r"\addtocounter{table}{-1}"
    yield rf"\caption{{{escape.latex(table.caption)}{' (continued)' if place else ''}}}"
    yield rf"\label{{tab:{label}}}"
    yield SMALL if len(table.columns) < MANY else SMALLER
    yield rf"\begin{{tabular}}{{{shape.columns}}}"
    yield r"\toprule"
    yield from _head(table)
    for block in blocks:
        yield r"\midrule"
        yield from _block(block, shape)
    yield "\\bottomrule\n\\end{tabular}"
    yield r"\end{table}"


def _head(table: Table) -> Iterator[str]:
    if table.spans:
        rest = [""] * (len(table.columns) - sum(width for _, width in table.spans))
        spans = [rf"\multicolumn{{{width}}}{{c}}{{{escape.latex(name)}}}" for name, width in table.spans]
        yield _line(["", *spans, *rest])
        start = 2
        for _, width in table.spans:
            yield rf"\cmidrule(lr){{{start}-{start + width - 1}}}"
            start += width
    yield _line([escape.latex(name) for name in (table.corner, *(column.name for column in table.columns))])
    for under in ([column.detail for column in table.columns], [column.mark for column in table.columns]):
        if any(under):
            yield _line(["", *(_small("scriptsize", text) for text in under)])


def _block(block: Block, shape: Shape) -> Iterator[str]:
    if block.name:
        yield _line([rf"\multicolumn{{{len(shape.shares)}}}{{l}}{{\textit{{{escape.latex(block.name)}}}}}"])
    for row in block.rows:
        if row.total:
            yield r"\addlinespace"
        yield _line(_cells(row, shape))
        for under in shape.under(row):
            yield _line(_small("tiny", INTERVAL.sub(rf"\1{DASH}\2", text)) for text in under)


def _cells(row: Row, shape: Shape) -> Iterator[str]:
    name, *shares = shape.shares
    yield rf"\raggedright {escape.latex(row.name)}" if name else escape.latex(row.name)
    for cell, share in zip(row.cells, shares, strict=True):
        text = escape.latex(floats.whole(cell) if share else cell.text)
        text = rf"\underline{{{text}}}" if cell.chosen and text and not share else text
        text = rf"\textbf{{{text}}}" if cell.best else text
        yield rf"\raggedright {text}" if share else text


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + END


def _small(size: str, text: str) -> str:
    return rf"{{\{size} {escape.latex(text)}}}" if text else ""


def _notes(table: Table) -> list[str]:
    notes = [note.partition(GREY)[0].strip().replace(SHADED, UNDERLINED) for note in table.notes]
    text = " ".join(escape.latex(note) for note in [*notes, UNDEFINED if table.has_undefined else ""] if note)
    return [rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize\raggedright {text}}}"] if text else []


def _headings(table: Table) -> list[str]:
    spans = [name for name, width in table.spans for _ in range(width)]
    spans += [""] * (len(table.columns) - len(spans))
    return [
        f"{span}, {column.name}" if span else column.name for span, column in zip(spans, table.columns, strict=True)
    ]


def _csv_cell(cell: Cell) -> str:
    change = f"({cell.change})" if cell.change else ""
    parts = ["" if cell.text == DASH else cell.text, change, ENDS.sub(r"\1..\2", cell.detail), cell.remark]
    return " ".join(part for part in parts if part)
