"""Files that cannot be used, and files that can but look odd."""

from collections.abc import Sequence

import pandas as pd

from murace.data.chunks import DARK, FLAT, Outcome
from murace.data.listing import Listing


def tabulate(listing: Listing, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Every listed file that cannot be used, with its reason, by path: `rejected.csv`."""
    seen = zip(listing.images["path"], outcomes, strict=True)
    unreadable = [(path, outcome.reason) for path, outcome in seen if outcome.reason]
    return pd.DataFrame(sorted([*listing.rejected, *unreadable]), columns=["path", "reason"])


def remarks(outcomes: Sequence[Outcome]) -> list[str]:
    """Notes, without any id, on pictures that were accepted all the same."""
    flat, dark = (sum(outcome.remark == remark for outcome in outcomes) for remark in (FLAT, DARK))
    notes = [f"{flat} images have a single shade"] if flat else []
    return notes + ([f"{dark} 16-bit images use 12 bits at most and come out almost black"] if dark else [])
