"""Ids that look alike: compared in one Unicode form (NFC) and without the characters that nobody can see."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from murace.system.progress import Reporter

if TYPE_CHECKING:
    import pandas as pd

# Unicode's Default_Ignorable_Code_Point: zero-width characters, soft hyphens, byte order marks, variation selectors.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BRAILLE_BLANK = "\u2800"  # a blank that Unicode counts as a symbol
_LONGEST = 60  # characters of an id in a warning


def visible(text: str) -> str:
    """`text` as it looks: NFC, nothing hidden in it, each run of blanks of any kind one blank, none at the ends."""
    if text.isascii() and text == " ".join(text.split()):  # nearly always, and quickly said
        return text
    shown = _HIDDEN.sub("", text).replace(_BRAILLE_BLANK, " ")
    return unicodedata.normalize("NFC", " ".join(shown.split()))


def one_spelling(path: Path, ids: "pd.Series[str]", reporter: Reporter | None) -> tuple["pd.Series[str]", int]:
    """Write ids that look alike in one way; returns the column, and how many ids had several spellings.

    An id with one spelling stays as it is, whatever it holds. The warning shows one pair, with escapes.
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(ids.unique()):
        spellings[visible(name)].append(name)
    alike = {look: names for look, names in spellings.items() if len(names) > 1}
    if not alike:
        return ids, 0
    first, second, *_ = next(iter(alike.values()))
    (reporter or Reporter()).warn(
        f"{path}: column {ids.name}: ids that differ only by invisible characters are read as one: {len(alike)}, "
        f"for example {_escaped(first)} and {_escaped(second)}"
    )
    same = {name: look for look, names in alike.items() for name in names}
    return ids.map(lambda name: same.get(name, name)), len(alike)


def spelling_notes(alike: Mapping[str, int]) -> list[str]:
    """How many ids of each column were written in several ways, as sentences without ids."""
    return [
        f"{count} ids of the column {name}, each in several spellings that look alike, are one"
        for name, count in alike.items()
    ]


def _escaped(name: str) -> str:
    """The id in quotes, every character beyond ASCII as an escape: two of them may look the same."""
    shown = ascii(name)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}...'"
