"""Sample sizes behind the scores: cases, patients, resamples, and warnings where they are small."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from murace.metrics.slices import SMALL_CLASS, SMALL_PATIENTS
from murace.report.contents import Contents
from murace.report.text import formats
from murace.vocabulary import OVERALL, Level

TEST = ["test_positive", "test_negative"]
SMALL = (
    f"small: fewer than {SMALL_PATIENTS} patients, or fewer than {SMALL_CLASS} with an abnormal or with a normal "
    "case; a tendency only."
)
INTERVALS = (
    "Under a score: its 95% interval, the percentiles of a bootstrap over patients (all studies and images of a "
    "patient are drawn together)."
)
ZERO_WIDTH = "An interval of zero width, as under a perfect score, is no certainty: the same cases give it every time."


def images(contents: Contents) -> dict[str, int]:
    """Test images per group."""
    return dict(zip(contents.counts["group"], contents.counts[TEST].sum(axis=1), strict=True))


def sizes(contents: Contents, level: Level) -> dict[str, str]:
    """The number of test cases of each group, as a heading's second line."""
    numbers = contents.studies if level is Level.STUDY else images(contents)
    return {group: f"n = {number:,}" for group, number in numbers.items()}


def size(contents: Contents) -> str:
    """Studies and images of the test split in parentheses, as far as they are known."""
    numbers = {"studies": contents.studies.get(OVERALL), "images": images(contents).get(OVERALL)}
    known = [f"{number:,} {name}" for name, number in numbers.items() if number]
    return f" ({', '.join(known)})" if known else ""


def small_groups(contents: Contents, level: Level) -> dict[str, str]:
    """Group -> a warning with its numbers, for the groups that are too small to tell much."""
    if contents.support.empty:
        return {}
    part = contents.support[(contents.support["level"] == level) & contents.support["small"].astype(bool)]
    return {str(line["group"]): small(line) for line in part.to_dict("records")}


def small(line: Mapping[Any, Any]) -> str:
    """The warning at a small part of the data, from its `cases` and `abnormal`."""
    abnormal = int(line["abnormal"])
    return f"small: {abnormal:,} abnormal / {int(line['cases']) - abnormal:,} normal"


def has_intervals(frame: pd.DataFrame) -> bool:
    """Whether any row has both ends of an interval."""
    return bool(frame[["low", "high"]].notna().all(axis=1).any())


def resamples(contents: Contents) -> int:
    """How many resamples the intervals come from; 0 where it is not said."""
    return 0 if contents.intervals.empty else int(contents.intervals["resamples"].max())


def undefined(contents: Contents, level: Level, metrics: Collection[str]) -> str:
    """A sentence on the resamples in which a metric had no value: the worst group and model of each metric."""
    if contents.intervals.empty:
        return ""
    frame = contents.intervals
    part = frame[(frame["level"] == level) & (frame["undefined"] > 0) & frame["metric"].isin(list(metrics))]
    worst = part.sort_values("undefined", ascending=False, kind="stable").drop_duplicates("metric")
    told = [
        f"{formats.metric_inside(line['metric'])} in up to {int(line['undefined']):,} of "
        f"{int(line['resamples']):,} ({line['group']}, {formats.model_name(line['model'])})"
        for line in worst.to_dict("records")
    ]
    if not told:
        return ""
    return f"Undefined in some resamples, which its interval leaves out: {formats.listing(told)}."
