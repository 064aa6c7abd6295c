"""Has a source changed since it was read? Sizes and times tell cheaply; contents are compared where a time differs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from murace.data.images.header import ImageError
from murace.data.ingest.job import ImageOutcome
from murace.data.ingest.notes import file_state
from murace.data.sources.listing import Listing
from murace.data.store import read_frame
from murace.data.tables.paths import locate
from murace.system.files import sha256

COLUMNS = ["path", "length", "modified", "sha256"]


def table(paths: Sequence[str], outcomes: Sequence[ImageOutcome]) -> pd.DataFrame:
    """What to remember of the files that were read: `sources.csv`."""
    rows = [(path, seen.length, seen.modified, seen.sha256) for path, seen in zip(paths, outcomes, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def since(path: Path, listing: Listing) -> str | None:
    """In words, without names, how many files are not those that the table at `path` remembers; None where none is."""
    seen = read_frame(path, texts=("path", "sha256"), needs=COLUMNS)
    rows: Iterator[tuple[str, int, int, str]] = seen[COLUMNS].itertuples(index=False, name=None)
    changed = [name for name, *state, digest in rows if _has_changed(listing.root, name, tuple(state), digest)]
    return f"{len(changed)} source files have changed" if changed else None


def _has_changed(root: Path, name: str, before: tuple[object, ...], digest: str) -> bool:
    now = file_state(root, name)
    if now == before:
        return False
    try:
        return now[0] != before[0] or not digest or sha256(locate(root, name)) != digest
    except (ImageError, OSError):
        return True
