"""Hostile words on the pages stay words: no element, attribute or address appears that a harmless page has not."""

import dataclasses
import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from murace.explain.overlays.gallery import Entry, View, gallery_page
from murace.explain.overlays.thumbnail import thumbnail
from murace.report.contents import Contents, Picture
from murace.report.figures import figures
from murace.report.page import render
from tests.report import made_up

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}}{% raw %}{# #}",
    "</title></style><base href=//evil.example><meta http-equiv=refresh content=0>",
    "javascript:alert(1)",
    "-->]]><!--<a href=https://evil.example>",
    "\u202eevil\u2066\u200f",
    "a\0b",
)
PIECES = st.sampled_from([*HOSTILE, "<", ">", '"', "'", "&lt;", "=", "/", "`", "{{", "}}", "\n", "\u2028", "x", " "])
WORDS = st.lists(PIECES, min_size=1, max_size=4).map("".join) | st.text(min_size=1, max_size=20)


class Outline(HTMLParser):
    """The kinds of elements on a page, each with the names of its attributes, and where its addresses lead."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.kinds: set[tuple[str, tuple[str, ...]]] = set()
        self.addresses: set[str] = set()
        self.policies: list[str | None] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add((tag, tuple(sorted(name for name, _ in attrs))))
        self.addresses |= {value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")}
        if dict(attrs).get("http-equiv"):
            self.policies.append(dict(attrs).get("content"))

    handle_startendtag = handle_starttag


def kinds_of(page: str) -> set[tuple[str, tuple[str, ...]]]:
    """The kinds of elements, once it is clear that nothing on the page leads anywhere."""
    outline = Outline(page)
    assert outline.policies == [POLICY]
    outside = [address for address in outline.addresses if not re.match(r"#|\./|data:image/(png|jpeg|webp);", address)]
    assert outside == []
    tags = {tag for tag, _ in outline.kinds}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "foreignobject", "animate", "set"}
    assert not [name for _, names in outline.kinds for name in names if name.startswith("on") or name == "srcdoc"]
    return outline.kinds


def with_words(words: Sequence[str]) -> Contents:
    """A report that has the words wherever a name may stand; without drawings, which take the time."""
    first, *_, last = words
    contents = made_up.whole((first, "elbow", last))
    slices = contents.slices.copy()
    slices["slice"] = slices["slice"].map(lambda name: f"{name} {first}")
    slices["part"] = slices["part"].map(lambda name: f"{last} {name}")
    return dataclasses.replace(
        contents,
        slices=slices,
        histories={},
        **{name: getattr(contents, name).iloc[:0] for name in ("roc", "reliability", "benefit")},
        maps=[Picture(caption=first, png=made_up.png())],
        errors=[Picture(caption=last, png=made_up.png())],
        augmentation=Picture(caption=first, png=made_up.png()),
        notes=list(words),
        settings={first: {last: first}},
        facts={**contents.facts, "ended": first, last: last},
    )


def report_of(words: Sequence[str]) -> str:
    contents = with_words(words)
    return render(contents, figures(contents))


@pytest.fixture(scope="module")
def harmless() -> set[tuple[str, tuple[str, ...]]]:
    return kinds_of(report_of(["ankle", "toe", "wrist"]))


@pytest.mark.parametrize("words", [HOSTILE[:3], HOSTILE[3:6], HOSTILE[5:8], HOSTILE[7:]])
def test_the_report_shows_hostile_names_as_text(
    words: Sequence[str], harmless: set[tuple[str, tuple[str, ...]]]
) -> None:
    assert kinds_of(report_of(words)) <= harmless


def test_nothing_that_a_name_says_is_computed() -> None:
    page = report_of(HOSTILE[:2] + HOSTILE[4:5])
    assert page.count("{{7*7}}{% raw %}{# #}") > 10


def gallery_of(words: Sequence[str]) -> str:
    first, *_, last = words
    views = [View(f"{first}.png", 0.5, remark=last), View("image2.png", 0.5)]
    named = {"known_by": last, "warning": first, "method": last, "calibrated": 0.5}
    entries = [
        Entry(last, first, last, 0.5, first, 0.5, views, **named),
        Entry("b", "elbow", first, 0.4, last, 0.5, views),
    ]
    small = thumbnail(np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.uint8))
    return "".join(gallery_page(entries, [[small, None]] * 2, notes=list(words)))


PLAIN = kinds_of(gallery_of(["ankle", "toe", "wrist"]))


@given(st.lists(WORDS, min_size=2, max_size=3))
@settings(max_examples=30, deadline=None)
def test_the_gallery_shows_hostile_names_as_text(words: list[str]) -> None:
    assert kinds_of(gallery_of(words)) <= PLAIN


@pytest.mark.parametrize("word", HOSTILE)
def test_each_hostile_word_alone(word: str) -> None:
    assert kinds_of(gallery_of([word, word])) <= PLAIN
