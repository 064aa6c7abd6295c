import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from murace.report.text import escape
from murace.report.text.formats import DASH, MINUS

HOSTILE = (
    r"""\input{/etc/passwd} & 5% $x$ #1 _a_ {b} ~ ^ <script>alert(1)</script> | `code` **b** [l](http://x.y) "q" """
)
COMMANDS = (
    r"\\(?:textbackslash\{\}|textasciitilde\{\}|textasciicircum\{\}|textless\{\}|textgreater\{\}|textbar\{\}"
    r"|ldots\{\}|[&%$#_{}]|[`'^~\"rvc]\{[A-Za-z]\})|\$(?:-|\\[a-z]+)\$"
)


@given(st.text())
def test_latex_is_ascii_with_no_command_but_our_own(text: str) -> None:
    written = escape.latex(text)
    rest = re.sub(COMMANDS, "", written)
    assert written.isascii()
    assert written.isprintable()
    assert not set(rest) & set('\\&%$#_~^<>|"')
    assert is_balanced(rest)


def is_balanced(text: str) -> bool:
    depth = 0
    for letter in text:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth < 0:
            return False
    return depth == 0


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"{MINUS}0.04 {DASH} ±0.0%", r"$-$0.04 -- $\pm$0.0\%"),
        ("a--b", "a-{}-b"),
        ("Ångström, naïve", r"\r{A}ngstr\"{o}m, na\"{i}ve"),
        ("手\x00", "{[}U+624B{]}{[}U+0000{]}"),
        ("two\n\nlines", "two lines"),
        ("[x]", "{[}x{]}"),
    ],
)
def test_latex(text: str, written: str) -> None:
    assert escape.latex(text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"{MINUS}0.040", "-0.040"),
        ("1,234,567", "1234567"),
        ("0.925 (+5.7%) 0.81..0.93", "0.925 (+5.7%) 0.81..0.93"),
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
    ],
)
def test_spreadsheet_cells_hold_numbers_and_no_formula(text: str, written: str) -> None:
    assert escape.spreadsheet(text) == written


@given(st.text())
def test_a_spreadsheet_cell_begins_a_formula_only_as_a_number(text: str) -> None:
    written = escape.spreadsheet(text)
    if written.startswith(("=", "+", "-", "@")):
        assert re.fullmatch(r"[-+]\d[\d .,%()+-]*", written)
    assert next(csv.reader(io.StringIO(f'"{written.replace(chr(34), chr(34) * 2)}"'))) == [written]


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_markdown_shows_the_text_as_it_is(text: str) -> None:
    rendered = MarkdownIt("commonmark").enable("table").parse(f"| a |\n| --- |\n| {escape.markdown(text)} |")
    cells = [token for token in rendered if token.type == "inline"]
    assert [child.type for child in cells[1].children or [] if child.type not in ("text", "text_special")] == []
    assert "".join(child.content for child in cells[1].children or []) == text


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_markdown_begins_nothing_in_a_line_of_its_own(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(escape.markdown(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize(
    "text", [HOSTILE, "1. one", "- two", "# three", "> four", "a\n\n<b>", "---", "+ five", "===", "12)"]
)
def test_markdown_of_hostile_text_is_one_plain_paragraph(text: str) -> None:
    html = MarkdownIt("commonmark").enable("table").render(escape.markdown(text))
    assert re.findall(r"</?(\w+)", html) == ["p", "p"]
