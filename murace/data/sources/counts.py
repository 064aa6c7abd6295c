"""Table 1: how many images of each group, split and label there are, and whether that is enough to learn from."""

import pandas as pd

from murace.errors import DataError
from murace.vocabulary import OVERALL, Split

LABELS = {"positive": 1, "negative": 0}
COLUMNS = ["group", *(f"{split}_{word}" for split in Split for word in LABELS)]


def tabulate(images: pd.DataFrame) -> pd.DataFrame:
    """Count images per group, split and label; the last row is `overall`.

    Args:
        images: columns `group`, `split`, `label`.
    """
    rows = []
    for group in [*sorted(set(images["group"])), OVERALL]:
        own = images if group == OVERALL else images[images["group"] == group]
        cells = {
            f"{split}_{word}": int(((own["split"] == split) & (own["label"] == label)).sum())
            for split in Split
            for word, label in LABELS.items()
        }
        rows.append({"group": group, **cells})
    return pd.DataFrame(rows, columns=COLUMNS)


def check(counts: pd.DataFrame) -> list[str]:
    """Notes about validation and test groups with fewer than two classes.

    Raises:
        DataError: a whole split, or a group's training images, have fewer than two classes.
    """
    fatal: list[str] = []
    notes: list[str] = []
    for row in counts.to_dict("records"):
        for split in Split:
            positive, negative = row[f"{split}_positive"], row[f"{split}_negative"]
            if positive and negative:
                continue
            summary = f"{row['group']} {split}: {positive} positive, {negative} negative"
            (fatal if split is Split.TRAIN or row["group"] == OVERALL else notes).append(summary)
    if fatal:
        raise DataError(
            f"both classes are needed in every split and in every group's training images; {'; '.join(fatal)}"
        )
    return [f"{summary}: some of its metrics are undefined" for summary in notes]
