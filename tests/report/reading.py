"""Read a page back: its tables as rows of text."""

import dataclasses
import re

import pandas as pd

from murace.report.contents import Contents
from murace.report.page import render
from tests.report import made_up


def light() -> Contents:
    """Everything but figures, which take the time."""
    none = pd.DataFrame()
    whole = made_up.whole()
    return dataclasses.replace(whole, histories={}, roc=whole.roc.iloc[:0], reliability=none, benefit=none)


def shown(contents: Contents, **changes: object) -> str:
    """The page of contents without figures, some of them changed."""
    return render(dataclasses.replace(contents, **changes), {})


def text(cell: str) -> str:
    """What is seen of a piece of the page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", cell)).strip()


def table(page: str, key: str) -> str:
    """A table of the page."""
    return re.search(rf'<table id="{key}".*?</table>', page, re.DOTALL)[0]


def rows(page: str, key: str) -> list[list[str]]:
    """The cells of a table, a list for each row; a heading has none."""
    body = re.findall(r"<tbody>.*?</tbody>", table(page, key), re.DOTALL)
    return [
        re.findall(r"<td.*?</td>", row, re.DOTALL)
        for part in body
        for row in re.findall(r"<tr.*?</tr>", part, re.DOTALL)
    ]


def lines(page: str, key: str) -> dict[str, list[str]]:
    """The rows of a table by their names (the last of a name counts), as text."""
    found = re.findall(r'<tr[^>]*><th scope="row">(.*?)</th>(.*?)</tr>', table(page, key), re.DOTALL)
    return {text(name): [text(cell) for cell in re.findall(r"<td.*?</td>", cells, re.DOTALL)] for name, cells in found}
