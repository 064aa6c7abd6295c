"""The gallery: one HTML page over many drawn studies, those most likely abnormal first; no script, no network.

The page holds small pictures and leads to the large ones in the folders beside it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

import numpy as np

from murace.explain.overlays.colours import LIMIT, colours
from murace.explain.overlays.thumbnail import Thumbnail
from murace.report.text import escape
from murace.report.text.formats import model_name, signed
from murace.vocabulary import DISCLAIMER

GENERATOR = "murace cam"
HARMLESS = re.compile(r"image\d+\.png")  # MURA's own names; any other may tell whose picture it is
STOPS = (-1.0, -0.5, -0.25, -0.06, 0.0, 0.06, 0.25, 0.5, 1.0)  # of the legend's colours, as shares of the limit
MARKED = (-1.0, -0.5, 0.0, 0.5, 1.0)  # of its numbers
AT_ONCE = 64  # pieces of text put together before they are handed on


@dataclass(frozen=True)
class View:
    """A view of a study: its picture's file name, its probability, and what must be known of its map, if anything."""

    file: str
    probability: float
    remark: str | None = None


@dataclass(frozen=True)
class Entry:
    """A study: the name of its folder beside the page, and what was answered.

    `calibrated` is the probability after temperature scaling, `known_by` says how its group was known, `warning` what
    is odd about it, and `method` how its maps were made; each where there is such a thing. From `threshold` on a study
    is called abnormal. A map is in logits where it `is_signed`, else in shares of its maximum.
    """

    folder: str
    group: str
    learner: str
    probability: float
    decision: str
    threshold: float
    views: Sequence[View]
    calibrated: float | None = None
    known_by: str | None = None
    warning: str = ""
    method: str = ""
    is_signed: bool = True

    @property
    def anchor(self) -> str:
        """The study's id on the page; it stays when other studies come and go."""
        return f"study-{quote(self.folder, safe='')}"

    @property
    def link(self) -> str:
        """To the study's folder."""
        return f"./{quote(self.folder, safe='')}/"

    def picture(self, view: View) -> str:
        """The link to a view's picture; to the folder where the file's name had better not stand on the page."""
        return self.link + (view.file if HARMLESS.fullmatch(view.file) else "")


@dataclass(frozen=True)
class GroupRow:
    """What the summary says of a group: how many studies and views, how many called abnormal, and from where on."""

    name: str
    studies: int
    views: int
    abnormal: int
    thresholds: tuple[float, ...]
    learners: tuple[str, ...]


@dataclass(frozen=True)
class Legend:
    """A scale of colours: CSS stops from left to right, the numbers under them with their places, and what it is."""

    is_signed: bool
    stops: str
    numbers: list[tuple[str, str]]


def ranked(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in the order of the page: by probability, the highest first."""
    return sorted(entries, key=lambda entry: (-entry.probability, entry.folder))


def gallery_page(
    entries: Sequence[Entry], thumbnails: Iterable[Sequence[Thumbnail | None]], *, notes: Sequence[str]
) -> Iterator[str]:
    """Write the page, in pieces: thousands of studies need not be in memory at once. The same entries, the same text.

    Args:
        entries: as `ranked` has put them.
        thumbnails: for each entry one small picture per view, None where it has none; drawn when it is needed.
        notes: what a reader must know before anything, such as that the data are synthetic.
    """
    environment = escape.templates()
    environment.filters["model"] = model_name
    by_group = {
        name: [entry for entry in entries if entry.group == name] for name in sorted({entry.group for entry in entries})
    }
    rows = [_row(name, own) for name, own in by_group.items()]
    stream = environment.get_template("gallery.html").stream(
        generator=GENERATOR,
        disclaimer=DISCLAIMER,
        notes=notes,
        rows=rows,
        numbers={row.name: number for number, row in enumerate(rows, start=1)},
        total=_row("all", entries),
        legends=[_legend(is_signed=kind) for kind in (True, False) if kind in {entry.is_signed for entry in entries}],
        studies=zip(entries, thumbnails, strict=True),
        steps=_steps(entries, by_group.values()),
    )
    stream.enable_buffering(AT_ONCE)
    return iter(stream)


def _row(name: str, entries: Sequence[Entry]) -> GroupRow:
    return GroupRow(
        name=name,
        studies=len(entries),
        views=sum(len(entry.views) for entry in entries),
        abnormal=sum(entry.decision == "abnormal" for entry in entries),
        thresholds=tuple(sorted({entry.threshold for entry in entries})),
        learners=tuple(sorted({entry.learner for entry in entries})),
    )


def _steps(
    entries: Sequence[Entry], groups: Collection[Sequence[Entry]]
) -> list[tuple[str, str, str, dict[str, Entry]]]:
    """The links from study to study, among all and in one of several groups: class, word, arrow, folder -> study."""
    in_group = [pair for own in groups for pair in pairwise(own)]
    kinds = {"in-all": list(pairwise(entries)), **({"in-group": in_group} if len(groups) > 1 else {})}
    return [
        *((kind, "Previous", "↑", {after.folder: before for before, after in pairs}) for kind, pairs in kinds.items()),
        *((kind, "Next", "↓", {before.folder: after for before, after in pairs}) for kind, pairs in kinds.items()),
    ]


def _legend(*, is_signed: bool) -> Legend:
    """The scale of maps in logits, from -`LIMIT` to `LIMIT`, or of those in shares, from 0 to 1."""
    lowest, limit = (-1.0, LIMIT) if is_signed else (0.0, 1.0)
    drawn = colours(np.array([STOPS], dtype=np.float32), limit=1.0)[0]
    stops = [
        f"rgb({red}, {green}, {blue}) {_place(stop, lowest)}"
        for stop, (red, green, blue) in zip(STOPS, drawn, strict=True)
    ]
    write = signed if is_signed else "{:g}".format
    return Legend(
        is_signed,
        ", ".join(stops),
        [(write(share * limit), _place(share, lowest)) for share in MARKED if share >= lowest],
    )


def _place(share: float, lowest: float) -> str:
    return f"{100 * (share - lowest) / (1 - lowest):g}%"
