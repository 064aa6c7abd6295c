"""Files and studies that cannot be used."""

from collections import Counter
from collections.abc import Collection, Sequence

import pandas as pd

from murace.data.ingest.job import Outcome
from murace.data.sources.conflict import COLUMNS
from murace.data.sources.listing import NO_IMAGE, Listing


def tabulate(listing: Listing, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Every listed file that cannot be used, with its reason, by path: `rejected.csv`."""
    seen = zip(listing.images["path"], outcomes, strict=True)
    unreadable = [(path, outcome.reason) for path, outcome in seen if outcome.reason]
    return pd.DataFrame(sorted([*listing.rejected, *unreadable]), columns=COLUMNS)


def reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """How many files could not be used, by the reason without its details."""
    return dict(sorted(Counter(str(reason).partition(":")[0] for reason in rejected["reason"]).items()))


def empty_studies(listing: Listing, usable: Collection[str]) -> int:
    """How many studies are listed without an image, or without one that can be used; `usable` have one."""
    lost = set(listing.images["study"]) - set(usable)
    return len(lost) + sum(reason.endswith(NO_IMAGE) for _, reason in listing.rejected)
