"""Table 1: how many images of each group, split and label there are, and whether that is enough to learn from."""

import pandas as pd

from murace.errors import DataError
from murace.vocabulary import OVERALL, Split

LABELS = {"positive": 1, "negative": 0}
DROPPED = [f"{split}_dropped" for split in Split]
COLUMNS = ["group", *(f"{split}_{word}" for split in Split for word in LABELS)]


def tabulate(images: pd.DataFrame, dropped: pd.DataFrame | None = None) -> pd.DataFrame:
    """Count images per group, split and label; the last row is `overall`.

    Args:
        images: columns `group`, `split`, `label`.
        dropped: likewise, images left out since another split has the same picture; where given, `<split>_dropped`
            counts them.
    """
    rows = []
    groups = set(images["group"]) | set(() if dropped is None else dropped["group"])
    for group in [*sorted(groups), OVERALL]:
        own = _of_group(images, group)
        cells = {
            f"{split}_{word}": int(((own["split"] == split) & (own["label"] == label)).sum())
            for split in Split
            for word, label in LABELS.items()
        }
        if dropped is not None:
            gone = _of_group(dropped, group)["split"]
            cells |= {name: int((gone == split).sum()) for name, split in zip(DROPPED, Split, strict=True)}
        rows.append({"group": group, **cells})
    return pd.DataFrame(rows, columns=[*COLUMNS, *(() if dropped is None else DROPPED)])


def _of_group(images: pd.DataFrame, group: str) -> pd.DataFrame:
    return images if group == OVERALL else images[images["group"] == group]


def check(counts: pd.DataFrame, *, remark: str = "") -> list[str]:
    """Notes about validation and test groups with fewer than two classes; `remark` ends the refusal.

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
            f"both classes are needed in every split and in every group's training images; {'; '.join(fatal)}{remark}"
        )
    return [f"{summary}: some of its metrics are undefined" for summary in notes]
