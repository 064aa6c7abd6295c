"""The csv reader accepts and rejects exactly what a slow reference does, and reads back what a writer wrote."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import strategies as st

from murace.data.tables.cells import fault_of_label
from murace.data.tables.table import read_table
from murace.errors import DataError
from tests.properties.size import holds, sizes

ALPHABET = '",\n\r ab1\u00e9\ufeff\0;\t\u2028'
texts = st.one_of(st.text(ALPHABET, max_size=30), st.text(max_size=20))
cells = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)


class RefusedError(Exception):
    """The reference takes this for no csv file."""


def reference(text: str) -> list[list[str]]:
    """RFC 4180, a character at a time; any of CR LF, CR and LF ends a row, and rows of blanks alone are none."""
    rows: list[list[str]] = []
    row: list[str] = []
    cell, state, place = "", "start", 0
    while place < len(text):
        letter = text[place]
        ends = letter in "\r\n"
        if state == "quoted":
            if letter == '"':
                state = "closed"
            else:
                cell += letter
        elif state == "closed" and letter == '"':
            cell, state = cell + '"', "quoted"
        elif state == "closed" and not ends and letter != ",":
            raise RefusedError("something behind a closing quote")
        elif letter == "," or ends:
            row.append(cell)
            cell, state = "", "start"
            if ends:
                rows.append(row)
                row = []
                place += text[place : place + 2] == "\r\n"
        elif state == "start" and letter == '"':
            state = "quoted"
        else:
            cell, state = cell + letter, "plain"
        place += 1
    if state == "quoted":
        raise RefusedError("an open quote")
    if state != "start" or row:
        rows.append([*row, cell])
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len({len(row) for row in rows}) > 1:
        raise RefusedError("rows of several lengths")
    return rows


def expected(data: bytes) -> list[list[str]] | None:
    """What the reference makes of a file; None where it refuses it."""
    try:
        if b"\0" in data:
            return None
        return reference(data.decode().removeprefix("\ufeff"))
    except (UnicodeDecodeError, RefusedError):
        return None


def answer(path: Path, data: bytes) -> list[list[str]] | None:
    """What the reader makes of it."""
    path.write_bytes(data)
    try:
        return read_table(path).rows
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - one of two outcomes
        return None


@sizes(300)
def test_the_reader_is_as_strict_as_a_slow_reference(examples: int, tmp_path: Path) -> None:
    verdicts = set()

    def law(text: str, damage: bytes) -> None:
        data = text.encode(errors="surrogatepass") + damage
        verdicts.add(expected(data) is None)
        assert answer(tmp_path / "a.csv", data) == expected(data)

    holds(law, examples, texts, st.sampled_from([b"", b"", b"", b"\xff", b"\0"]))
    assert verdicts == {True, False}


@sizes()
def test_what_a_writer_wrote_is_read_as_it_was_with_its_lines(examples: int, tmp_path: Path) -> None:
    def law(rows: list[list[str]], end: str) -> None:
        file = io.StringIO(newline="")
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
        (tmp_path / "a.csv").write_bytes(file.getvalue().encode())
        kept = [row for row in rows if any(cell.strip() for cell in row)]
        table = read_table(tmp_path / "a.csv")
        assert table.rows == kept
        assert len(table.lines) == len(kept)
        assert table.lines == sorted(set(table.lines))

    width = st.integers(1, 4)
    tables = width.flatmap(lambda count: st.lists(st.lists(cells, min_size=count, max_size=count), max_size=6))
    holds(law, examples, tables, st.sampled_from(["\n", "\r\n"]))


@sizes()
def test_a_label_is_one_of_two_characters(examples: int) -> None:
    def law(label: str) -> None:
        assert (fault_of_label(label) is None) == (label in {"0", "1"})

    holds(law, examples, st.one_of(st.text(max_size=6), st.floats().map(str), st.integers().map(str)))


def test_the_reference_itself_knows_the_rules() -> None:
    assert reference('a,"b""c"\r\n\n,\n1,2') == [["a", 'b"c'], ["1", "2"]]
    for text in ('"a', '"a"b', "a,b\nc"):
        with pytest.raises(RefusedError):
            reference(text)
