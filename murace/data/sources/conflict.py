"""What stops `prepare` because images contradict each other: a few of them in the message, all of them in a file."""

from collections.abc import Sequence

import pandas as pd

from murace.errors import DataError

COLUMNS = ["path", "reason"]


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
        return pd.DataFrame(sorted(self.culprits), columns=COLUMNS)
