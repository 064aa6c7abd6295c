"""Detect source files that changed since they were read: by size and time, by SHA-256 where only the time differs."""

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
    """`sources.csv`: length, time and SHA-256 of the files that were read."""
    rows = [(path, seen.length, seen.modified, seen.sha256) for path, seen in zip(paths, outcomes, strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def since(path: Path, listing: Listing, *, follow_links: bool) -> str | None:
    """How many files differ from the table at `path`, as a sentence without names; None where none does."""
    seen = read_frame(path, texts=("path", "sha256"), needs=COLUMNS)
    rows: Iterator[tuple[str, int, int, str]] = seen[COLUMNS].itertuples(index=False, name=None)
    changed = 0
    for name, *state, digest in rows:
        changed += _has_changed(listing.root, name, tuple(state), digest, follow_links)
    return f"{changed} source files have changed" if changed else None


def _has_changed(root: Path, name: str, before: tuple[object, ...], digest: str, follow_links: bool) -> bool:
    now = file_state(root, name)
    if now == before:
        return False
    try:
        return now[0] != before[0] or not digest or sha256(locate(root, name, follow_links=follow_links)) != digest
    except (ImageError, OSError):
        return True
