"""Subgroup analysis: slices of the data, other than its groups, by number of views, image size or any column."""

from collections.abc import Sequence

import pandas as pd

from murace.errors import DataError, UsageError
from murace.vocabulary import Level

VIEWS, SIZE = "views", "image size"
MOST_VIEWS = 4
MOST_PARTS = 20
MOST_NUMBERS = 8  # distinct numbers that are still names; more are cut into thirds
FORMULA = ("=", "+", "-", "@")
MIXED, NOTHING = "mixed", "(none)"
SMALL_PATIENTS, SMALL_CLASS = 30, 10
SHOWN = 5  # of the small parts in a note
MEGAPIXEL = 1e6


def is_small(cases: pd.DataFrame) -> bool:
    """Whether a part is too small to say much: under 30 patients, or under 10 with an abnormal or with a normal case.

    Args:
        cases: columns patient and label.
    """
    holders = cases.groupby("label")["patient"].nunique().reindex([0, 1], fill_value=0)
    return bool(cases["patient"].nunique() < SMALL_PATIENTS or holders.min() < SMALL_CLASS)


def small_notes(support: pd.DataFrame, slices: pd.DataFrame) -> list[str]:
    """A sentence on the groups and slices of studies that are too small to say much; none where all are large.

    Args:
        support: columns level, group, small, as `Contents` of the report has it.
        slices: columns slice, part, level, small, likewise.
    """
    groups = support[(support["level"] == str(Level.STUDY)) & support["small"].astype(bool)]["group"].tolist()
    parts = slices[(slices["level"] == str(Level.STUDY)) & slices["small"].astype(bool)]
    named = dict.fromkeys(f"{name} {part}" for name, part in zip(parts["slice"], parts["part"], strict=True))
    names = [*groups, *named]
    if not names:
        return []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = ", ".join(names[:SHOWN]) + more
    return [f"too small to say much (under {SMALL_PATIENTS} patients, or under {SMALL_CLASS} of a class): {shown}"]


def with_slices(images: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Give every image its part in every slice, as text; a study's images share theirs.

    The number of views and, with columns width and height, the size of the study's largest image are slices by
    themselves, where they part the data at all. A study whose images differ in a named column is `mixed`.

    Args:
        images: column study and those of `names`; width and height where they are known.
        names: text columns.

    Returns:
        The images with the slices' columns, and the slices' names.

    Raises:
        UsageError: a name is no column, or has too many values.
        DataError: a value is one that a spreadsheet would run.
    """
    columns = {name: _of_column(images, name) for name in names}
    counts = images.groupby("study")["study"].transform("size")
    derived = {VIEWS: counts.map(lambda count: str(count) if count < MOST_VIEWS else f"{MOST_VIEWS} or more")}
    if {"width", "height"} <= set(images.columns):
        pixels = (images["width"] * images["height"]).groupby(images["study"]).transform("max") / MEGAPIXEL
        derived[SIZE] = _thirds(pixels, images["study"], " megapixels")
    columns |= {name: values for name, values in derived.items() if name not in columns and values.nunique() > 1}
    return images.assign(**columns), list(columns)


def _of_column(images: pd.DataFrame, name: str) -> "pd.Series[str]":
    if name not in images.columns:
        raise UsageError(f"--slice: the data have no column '{name}'")
    values = images[name].astype(str).replace("", NOTHING)
    numbers = pd.to_numeric(values, errors="coerce")
    run = values[values.str.startswith(FORMULA) & numbers.isna()]
    if len(run):
        raise DataError(f"--slice {name}: a value begins with one of {' '.join(FORMULA)}: a spreadsheet would run it")
    if numbers.notna().all() and values.nunique() > MOST_NUMBERS:
        return _thirds(numbers.groupby(images["study"]).transform("max"), images["study"], "")
    by_study = values.groupby(images["study"])
    found = values.where(by_study.transform("nunique") == 1, MIXED)
    if found.nunique() > MOST_PARTS:
        raise UsageError(f"--slice {name}: {found.nunique()} different values; a slice has at most {MOST_PARTS}")
    return found


def _thirds(numbers: "pd.Series[float]", studies: "pd.Series[str]", unit: str) -> "pd.Series[str]":
    """Name the third of the studies that a number lies in: `up to 0.15`, `0.15 to 0.2`, `over 0.2`."""
    each = sorted(numbers.groupby(studies).first())
    low, high = (float(each[share * (len(each) - 1) // 3]) for share in (1, 2))
    first, second = _written(low, high)
    names = [f"up to {first}{unit}", f"{first} to {second}{unit}", f"over {second}{unit}"]
    if low == high:
        names = [names[0], names[2], ""]
    thirds = ((numbers > low).astype(int) + ((numbers > high) & (high > low)).astype(int)).tolist()
    return pd.Series(pd.Categorical.from_codes(thirds, pd.Index(names), ordered=True), index=numbers.index)


def _written(low: float, high: float) -> tuple[str, str]:
    """Both edges with as few digits as put them where they are, to a twentieth of what lies between."""
    for digits in range(3, 17):
        texts = f"{low:.{digits}g}", f"{high:.{digits}g}"
        if max(abs(float(text) - edge) for text, edge in zip(texts, (low, high), strict=True)) <= (high - low) / 20:
            break
    return texts
