"""The listing of a source (MURA folder or manifest): one row per image, checked before any image is opened."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from murace.data.ingest.job import REMARK_BETWEEN, ImageOutcome
from murace.data.tables.table import few
from murace.errors import DataError
from murace.system.files import digest_of
from murace.vocabulary import Split

SYNTHETIC = "SYNTHETIC.txt"  # `murace sample` leaves it beside what it draws
COLUMNS = ["path", "label", "group", "patient", "study", "split"]
REJECTED = ["path", "reason"]  # the columns of `rejected.csv`
REMARKS = ["row", "remark"]  # the columns of `remarks.csv`
NO_IMAGE = "without any image"  # how the reason of an empty study ends


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of a source.

    `images` has COLUMNS and the manifest's extra ones, as text but for `label`, sorted by path. Its `split` is the
    given one, and `train` for every image that murace cuts: `cuts` says into what, as fractions of those images.
    `rejected` are listed files that need not be opened to be refused: (path, reason). `alike`: how many ids of a column
    were written in several ways that look alike, and are one.
    """

    form: str
    root: Path
    images: pd.DataFrame
    cuts: Mapping[Split, float]
    rejected: list[tuple[str, str]] = field(default_factory=list)
    ignored: int = 0
    notes: list[str] = field(default_factory=list)
    alike: Mapping[str, int] = field(default_factory=dict)
    patient_level: bool = True

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that is listed."""
        rows = self.images.astype(str).to_numpy().tolist()
        return digest_of([self.form, list(self.images.columns), rows, sorted(self.rejected), self.is_synthetic])

    @property
    def gives_split(self) -> bool:
        """Whether the source says what is test; else murace cuts it."""
        return Split.TEST not in self.cuts

    @property
    def is_synthetic(self) -> bool:
        """Whether `murace sample` drew these images."""
        return (self.root / SYNTHETIC).is_file()

    @property
    def listed(self) -> int:
        """How many images the source names, those refused unopened included."""
        return len(self.images) + len(self.rejected)


def check_and_sort(images: pd.DataFrame, notes: list[str], *, source: Path) -> pd.DataFrame:
    """Sort by path, drop rows that say the same twice, and stop at contradictions.

    Raises:
        DataError: nothing is listed; a name comes in two spellings that look the same.
        ConflictError: an image or a study has two labels, or two of anything else; a patient is in two splits.
    """
    if images.empty:
        raise DataError(f"{source} lists no image")
    _require_one_spelling(images["path"])
    unique = images.drop_duplicates()
    if len(unique) < len(images):
        notes.append(f"{len(images) - len(unique)} rows list an image twice and were counted once")
    for key, value in (("path", "label"), ("study", "label"), ("path", None), ("patient", "split"), ("study", "split")):
        _require_agreement(unique, key, value)
    # Python's order of strings is by code point, the same on every machine.
    return unique.sort_values("path", kind="stable", ignore_index=True)


def _require_one_spelling(names: "pd.Series[str]") -> None:
    """Stop at paths that differ only in their Unicode form: an accent as a part of its letter, or as its own character.

    The two look the same, and on some systems they are one file.
    """
    known = sorted(name for name in set(names) if not name.isascii())
    spelled = Counter(unicodedata.normalize("NFC", name) for name in known)
    twins = [name for name, count in spelled.items() if count > 1]
    if twins:
        raise DataError(f"one name in two Unicode spellings, as {names.name}: {few(twins)}; write it in one (NFC)")


def _require_agreement(images: pd.DataFrame, key: str, value: str | None) -> None:
    pairs = images if value is None else images[[key, value]].drop_duplicates()
    twice = sorted(set(pairs.loc[pairs[key].duplicated(), key]))
    if twice:
        thing = "image" if key == "path" else key
        summary = {
            "label": "label conflict: both labels for",
            "split": "in two splits:",
            None: "two different rows for",
        }
        kind = {"label": "label conflict", "split": f"{thing} in two splits", None: "two different rows"}[value]
        culprits = [
            (row["path"], f"{kind}: {thing} {row[key]}" + (f", {value} {row[value]}" if value else ""))
            for row in images[images[key].isin(twice)].to_dict("records")
        ]
        raise ConflictError(f"{summary[value]} {len(twice)} {_plural(thing, len(twice))}: {few(twice)}", culprits)


def _plural(thing: str, count: int) -> str:
    if count == 1:
        return thing
    return f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"


class ConflictError(DataError):
    """Images that cannot all be used. `culprits` has the path of each one and what it is part of.

    The message stands on its own; whoever can write a file adds where all of them are listed.
    """

    def __init__(self, message: str, culprits: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.culprits = culprits

    @property
    def table(self) -> pd.DataFrame:
        """The culprits by path, as `rejected.csv` has them."""
        return pd.DataFrame(sorted(self.culprits), columns=REJECTED)


def tabulate(listing: Listing, outcomes: Sequence[ImageOutcome]) -> pd.DataFrame:
    """Every listed file that cannot be used, with its reason, by path: `rejected.csv`."""
    seen = zip(listing.images["path"], outcomes, strict=True)
    unreadable = [(path, outcome.reason) for path, outcome in seen if outcome.reason]
    return pd.DataFrame(sorted([*listing.rejected, *unreadable]), columns=REJECTED)


def reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """How many files could not be used, by the reason without its details."""
    return dict(sorted(Counter(str(reason).partition(":")[0] for reason in rejected["reason"]).items()))


def remarks(images: pd.DataFrame) -> pd.DataFrame:
    """The remarks on usable images, one a line, by `row` of the index: `remarks.csv`; no ids."""
    each = zip(images["row"], images["remarks"], strict=True)
    found = [(row, remark) for row, joined in each if joined for remark in joined.split(REMARK_BETWEEN)]
    return pd.DataFrame(found, columns=REMARKS)


def remark_notes(counts: Mapping[str, int]) -> list[str]:
    """How many images have a remark, in a sentence each."""
    return [f"{count} images have {remark}; prepare/remarks.csv lists them" for remark, count in counts.items()]


def empty_studies(listing: Listing, usable: Collection[str]) -> int:
    """How many studies are listed without an image, or without one that can be used; `usable` have one."""
    lost = set(listing.images["study"]) - set(usable)
    return len(lost) + sum(reason.endswith(NO_IMAGE) for _, reason in listing.rejected)
