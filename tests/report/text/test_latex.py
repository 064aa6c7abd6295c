import csv
import dataclasses
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from murace.report.page import tables
from murace.report.text import floats
from murace.report.text.formats import DASH, MINUS
from murace.report.text.grid import Block, Cell, Column, Row, Table
from murace.report.text.latex import latex, table_csv
from tests.report import made_up
from tests.report.text.test_escape import HOSTILE, is_balanced

DOCUMENT = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\n\\end{document}\n"


def table(rows: int = 2, **changes: object) -> Table:
    cells = [Cell(text="0.900", best=True, change="+5.0%", detail="0.800 to 0.950", paper="0.91"), Cell(text=DASH)]
    made = Table(
        key="table_3 Study",
        number="Table 3",
        caption="Scores.",
        corner="Model",
        columns=[Column(name="All", detail="n = 9"), Column(name="Elbow", mark="small")],
        blocks=[Block(name="AUC", rows=[Row(name=f"Model {place}", cells=cells) for place in range(rows)])],
        notes=["Shaded: the chosen. Grey: the paper's numbers.", "Grey: nothing else."],
    )
    return dataclasses.replace(made, **changes)


def test_a_table_is_a_float_with_its_rules_and_marks() -> None:
    written = latex(table())
    assert re.findall(r"\\(\w*(?:rule|begin|end|caption|label))\b(\{[^}]*\})?", written)[:4] == [
        ("begin", "{table}"), ("caption", "{Scores.}"), ("label", "{tab:table-3-study}"), ("begin", "{tabular}"),
    ]  # fmt: skip
    assert [written.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"Model 0 & \textbf{0.900} & --" in written
    assert r" & {\tiny (+5.0\%)} & " in written
    assert r" & {\tiny 0.800--0.950} & " in written
    assert r" & {\scriptsize n = 9} & " in written


def test_every_line_has_a_cell_per_column() -> None:
    for made in tables(made_up.whole()).values():
        for line in latex(made).splitlines():
            if line.endswith(r"\tabularnewline"):
                wide = [int(width) for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
                bare = len(re.findall(r"(?<!\\)&", line)) + 1 - len(wide)
                assert sum(wide) + bare == len(made.columns) + 1, line


def test_the_papers_numbers_are_left_out_and_so_are_the_words_about_them() -> None:
    for made in tables(made_up.contents()).values():
        assert "Grey" not in latex(made)
    for written in (latex(table()), table_csv(table())):
        assert "0.91" not in written
    assert "Underlined: the chosen." in latex(table())


def test_undefined_is_explained() -> None:
    assert "never counted as 0" in latex(table())
    assert "never counted as 0" not in latex(table(blocks=[]))


def test_an_interval_with_a_minus_keeps_its_word() -> None:
    cell = Cell(text="0.010", detail=f"{MINUS}0.020 to 0.040")
    one = table(columns=[Column(name="All")], blocks=[Block(name="", rows=[Row(name="a", cells=[cell])])])
    assert r"{\tiny $-$0.020 to 0.040}" in latex(one)
    assert "0.010 -0.020..0.040" in table_csv(one)


def test_a_long_table_goes_on_in_further_floats_with_one_number() -> None:
    long = table(rows=60)
    written = latex(long)
    assert written.count(r"\begin{table}") == 4
    assert written.count(r"\addtocounter{table}{-1}") == 3
    assert [written.count(f"Model {place} ") for place in range(60)] == [1] * 60
    assert re.findall(r"tab:[\w-]+", written) == [
        "tab:table-3-study",
        *(f"tab:table-3-study-{place}" for place in (2, 3, 4)),
    ]
    assert written.count("never counted as 0") == 1


def test_a_block_is_cut_only_where_it_is_longer_than_a_page() -> None:
    rows = table(rows=20).blocks[0].rows
    two = table(blocks=[Block(name=name, rows=rows[:10]) for name in "abcd"])
    assert [[block.name for block in page] for page in floats.pages(two, floats.shape(two))] == [
        ["a"],
        ["b"],
        ["c"],
        ["d"],
    ]
    small = table(blocks=[Block(name=name, rows=rows[:3]) for name in "abcdef"])
    assert [len(page) for page in floats.pages(small, floats.shape(small))] == [5, 1]
    assert floats.pages(table(blocks=[]), floats.shape(table(blocks=[]))) == [[]]


def test_long_texts_break_their_lines() -> None:
    cells = [Cell(text="x " * 30), Cell(text="1")]
    assert re.search(
        r"\{lp\{0\.\d+\\linewidth\}r\}", latex(table(blocks=[Block(name="", rows=[Row(name="a", cells=cells)])]))
    )


def hostile() -> Table:
    cells = [Cell(text=HOSTILE, best=True, chosen=True), Cell(text="*", detail=HOSTILE, change=HOSTILE, remark="é手")]
    rows = [Row(name=HOSTILE, cells=cells, total=True, mark=HOSTILE), Row(name="[x]", cells=cells)]
    return Table(
        key=HOSTILE, number=f"{HOSTILE}\n\\evil", caption=HOSTILE, corner="*",
        columns=[Column(name=HOSTILE), Column(name="[1]", detail=HOSTILE)],
        blocks=[Block(name=HOSTILE, rows=rows)], spans=[(HOSTILE, 1)], notes=[HOSTILE],
    )  # fmt: skip


def test_hostile_texts_stay_text() -> None:
    written = latex(hostile())
    assert written.isascii()
    assert r"\input" not in written
    assert "\\evil" not in written
    assert is_balanced(written.replace(r"\{", "").replace(r"\}", ""))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_all_tables_compile_with_booktabs_alone(tmp_path: Path) -> None:
    made = [*tables(made_up.whole()).values(), hostile(), table(blocks=[]), table(rows=60)]
    Path(tmp_path, "all.tex").write_text(DOCUMENT % "\n".join(map(latex, made)), encoding="ascii")
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
    assert b"Float too large" not in done.stdout


def test_csv_has_a_line_per_row_and_a_column_per_column() -> None:
    for made in tables(made_up.whole()).values():
        head, *lines = csv.reader(io.StringIO(table_csv(made)))
        assert head[:2] == ["block", "row"]
        assert len(set(head)) == len(head) == len(made.columns) + 2
        assert len(lines) == sum(len(block.rows) for block in made.blocks)
        assert {len(line) for line in lines} == {len(head)}


def test_csv_cells() -> None:
    assert list(csv.reader(io.StringIO(table_csv(table(rows=1))))) == [
        ["block", "row", "All", "Elbow"],
        ["AUC", "Model 0", "0.900 (+5.0%) 0.800..0.950", ""],
    ]


def test_csv_holds_no_formula() -> None:
    cells = [Cell(text="=HYPERLINK(1)"), Cell(text="-1")]
    lines = csv.reader(io.StringIO(table_csv(table(blocks=[Block(name="@x", rows=[Row(name="+y", cells=cells)])]))))
    assert list(lines)[1] == ["'@x", "'+y", "'=HYPERLINK(1)", "-1"]
