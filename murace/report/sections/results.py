"""Section results (Table 3): the test scores of every model with intervals, per study and per image."""

import pandas as pd

from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.sections.comparison import BOLD, compare
from murace.report.sections.paper import is_paper_test_set, paper_table
from murace.report.text import formats
from murace.report.text.grid import Table
from murace.vocabulary import BASELINE, LOWER_IS_BETTER, OVERALL, Level, Metric

NUMBERS = {Level.STUDY: "Table 3, studies", Level.IMAGE: "Table 3, single images"}
FURTHER = {Level.STUDY: "Table S2, studies", Level.IMAGE: "Table S2, single images"}
CAPTIONS = {
    Level.STUDY: "Test scores, one decision per study: abnormal when its images' mean probability is at least 0.5.",
    Level.IMAGE: "Test scores, one decision per image, each against the label of its study.",
}
FURTHER_CAPTIONS = {
    Level.STUDY: "Further measures on the test split, per study.",
    Level.IMAGE: "Further measures on the test split, per image.",
}
ECE = (
    "The expected calibration error is biased upwards in small samples, and its resamples more so: it would not be 0 "
    "for perfect probabilities, its interval can lie above it; a small group's cannot be compared with a large one's."
)


def results_table(contents: Contents, level: Level) -> Table:
    """Table 3 at one level, with the change over ConvNet: the five measures of the paper."""
    frame = _measures(contents, level, paper=True)
    comparison = compare(frame, model="model", paper=3)
    notes = [BOLD]
    if BASELINE in set(frame["model"]):
        notes.append("In parentheses: change over ConvNet, (score − ConvNet's) / ConvNet's, where that is above 0.")  # noqa: RUF001
    notes += _notes(contents, frame, level)
    if comparison.has_paper:
        notes.append(_paper_note(contents) if level is Level.STUDY else "Grey: the paper's Table 3, as there.")
    return Table(
        key=f"table-3-{level}",
        number=NUMBERS[level],
        caption=CAPTIONS[level],
        corner="Model",
        columns=comparison.columns(support.sizes(contents, level), support.small_groups(contents, level)),
        blocks=[comparison.block(metric) for metric in dict.fromkeys(frame["metric"])],
        notes=[*notes, "Data: evaluate/scores.csv, support.csv, intervals.csv."],
    )


def further_table(contents: Contents, level: Level) -> Table | None:
    """The measures that the paper does not have; None where there are none."""
    frame = _measures(contents, level, paper=False)
    if frame.empty:
        return None
    comparison = compare(frame.assign(change=formats.NAN), model="model", paper=3)
    metrics = list(dict.fromkeys(frame["metric"]))
    low = [formats.metric_inside(metric) for metric in metrics if metric in LOWER_IS_BETTER]
    best = f"{BOLD[:-1]}; of {formats.listing(low)} the lowest." if low else BOLD
    notes = [best, *_notes(contents, frame, level), *([ECE] if "ece" in metrics else [])]
    return Table(
        key=f"table-s2-{level}",
        number=FURTHER[level],
        caption=FURTHER_CAPTIONS[level],
        corner="Model",
        columns=comparison.columns(support.sizes(contents, level), support.small_groups(contents, level)),
        blocks=[comparison.block(metric) for metric in metrics],
        notes=[*notes, "Data: evaluate/scores.csv, support.csv, intervals.csv."],
    )


def _measures(contents: Contents, level: Level, *, paper: bool) -> pd.DataFrame:
    frame = contents.scores
    return frame[(frame["level"] == level) & (frame["metric"].isin(list(Metric)) == paper)]


def _notes(contents: Contents, frame: pd.DataFrame, level: Level) -> list[str]:
    """On sizes and intervals: what is said once, under the first of the four tables; then what is this table's own."""
    first = level is Level.STUDY and Metric.AUC in set(frame["metric"])
    notes = _common(contents, frame) if first else ["n, intervals and small groups: as under Table 3, studies."]
    undefined = support.undefined(contents, level, set(frame["metric"]))
    return [*notes, undefined] if undefined else notes


def _common(contents: Contents, frame: pd.DataFrame) -> list[str]:
    notes = []
    if support.sizes(contents, Level.STUDY):
        notes.append("n: what the scores rest on; where it is small, so is the weight of a difference.")
    if any(support.small_groups(contents, level) for level in Level):
        notes.append(support.SMALL)
    if support.has_intervals(frame):
        notes += [support.INTERVALS, support.ZERO_WIDTH]
    return notes


def _paper_note(contents: Contents) -> str:
    """What the grey numbers mean beside these data."""
    grey = (
        "Grey: the paper's Table 3, for orientation, no pass mark; it leaves open whether it counts studies or images."
    )
    if is_paper_test_set(contents.counts):
        return f"{grey} By their numbers, the test images here are the paper's."
    paper = paper_table(1)
    theirs = int(paper.loc[paper["group"] == OVERALL, support.TEST].to_numpy().sum())
    return (
        f"{grey} The test set here differs from the paper's ({support.images(contents).get(OVERALL, 0):,} images here, "
        f"{theirs:,} of MURA there): unless it is MURA's less some unusable files, the grey numbers are about other "
        "data and cannot be compared with ours."
    )
