"""Ids are compared as they look."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.data.tables.spelling import one_spelling, visible
from tests.listener import Listener

HIDDEN = [
    "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f", "\U000e0100", "\U000e0041",
    "\u180e", "\u3164",
]  # fmt: skip
BLANKS = [" ", "\u00a0", "\u2003", "\u202f", "\u3000", "\u2800"]


@pytest.mark.parametrize("letter", HIDDEN, ids=ascii)
def test_what_nobody_sees_is_no_difference(letter: str) -> None:
    for name in (f"p{letter}0", f"{letter}p0", f"p0{letter}", f"p0 {letter}"):
        assert visible(name) == "p0"
    assert visible(letter) == ""


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
def test_blanks_at_the_ends_are_none_and_within_they_are_one(blank: str) -> None:
    assert visible(f"{blank}p 0{blank}{blank}") == visible(f"p{blank}0") == "p 0"
    assert visible(blank) == ""


@pytest.mark.parametrize(
    "name", ["p0", "P0", "p-0", "p0/s1", "\u00e9", "\u0440\u0430\u043a", "\u0627\u0644", "\uac00", "p\uff10"]
)
def test_what_is_seen_stays(name: str) -> None:
    assert visible(name) == name
    assert visible(unicodedata.normalize("NFD", name)) == name


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from([*HIDDEN, *BLANKS])), max_size=8))
def test_a_look_looks_like_itself(name: str) -> None:
    assert visible(visible(name)) == visible(name)


def test_ids_that_look_alike_become_one_and_it_is_said_once_with_one_pair() -> None:
    column = pd.Series(["p0", "p0 ", "p\u200b0", "p1", "p1\u00a0", "lone\u00a0", "lone\u00a0"], name="patient")
    reporter = Listener()
    found, count = one_spelling(Path("m.csv"), column, reporter)
    assert found.tolist() == ["p0", "p0", "p0", "p1", "p1", "lone\u00a0", "lone\u00a0"]
    assert count == 2
    assert reporter.warnings == [
        "m.csv: column patient: ids that differ only by invisible characters are read as one: 2, for example 'p0' and "
        "'p0 '"
    ]


def test_a_pair_is_shown_with_escapes_and_not_at_length() -> None:
    reporter = Listener()
    for first, second in (("\u00e9", "e\u0301"), ("x" * 500, "x" * 500 + "\u00ad")):
        one_spelling(Path("m.csv"), pd.Series([first, second], name="study"), reporter)
    assert "'e\\u0301' and '\\xe9'" in reporter.warnings[0]
    assert len(reporter.warnings[1]) < 300
