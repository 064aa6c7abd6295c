"""Table 3: the test scores of every model, and what the paper's numbers are worth beside them."""

import pandas as pd

from murace.report.comparison import BOLD, compare
from murace.report.contents import Contents
from murace.report.grid import Table
from murace.report.paper import is_paper_test_set, paper_table
from murace.vocabulary import BASELINE, OVERALL, Level

TEST = ["test_positive", "test_negative"]
NUMBERS = {Level.STUDY: "Table 3, studies", Level.IMAGE: "Table 3, single images"}
CAPTIONS = {
    Level.STUDY: "Test scores, one decision per study: abnormal when its images' mean probability is at least 0.5.",
    Level.IMAGE: "Test scores, one decision per image, each against the label of its study.",
}


def results_table(contents: Contents, level: Level) -> Table:
    """Table 3 at one level, with the change over ConvNet."""
    frame = contents.scores[contents.scores["level"] == level]
    comparison = compare(frame, model="model", paper=3)
    numbers = studies(contents) if level is Level.STUDY else images(contents)
    sizes = {group: f"n = {number:,}" for group, number in numbers.items()}
    return Table(
        key=f"table-3-{level}",
        number=NUMBERS[level],
        caption=CAPTIONS[level],
        corner="Model",
        columns=comparison.columns(sizes),
        blocks=[comparison.block(metric) for metric in dict.fromkeys(frame["metric"])],
        notes=_notes(contents, frame, has_sizes=bool(sizes), has_paper=comparison.has_paper),
    )


def studies(contents: Contents) -> dict[str, int]:
    """Test studies per group, as far as they are given."""
    return dict(contents.studies)


def images(contents: Contents) -> dict[str, int]:
    """Test images per group."""
    return dict(zip(contents.counts["group"], contents.counts[TEST].sum(axis=1), strict=True))


def _notes(contents: Contents, frame: pd.DataFrame, *, has_sizes: bool, has_paper: bool) -> list[str]:
    notes = [BOLD]
    if BASELINE in set(frame["model"]):
        notes.append("In parentheses: change over ConvNet, (score − ConvNet's) / ConvNet's.")  # noqa: RUF001
    if has_sizes:
        notes.append("n: what the scores rest on; where it is small, so is the weight of a difference.")
    if frame[["low", "high"]].notna().all(axis=1).any():
        notes.append("Under a score: its 95% confidence interval.")
    if has_paper:
        notes.append(_paper_note(contents))
    return notes


def _paper_note(contents: Contents) -> str:
    """What the grey numbers mean beside these data."""
    grey = (
        "Grey: the paper's Table 3, for orientation, no pass mark; it leaves open whether it counts studies or images."
    )
    if is_paper_test_set(contents.counts):
        return f"{grey} By their numbers, the test images here are the paper's."
    paper = paper_table(1)
    theirs = int(paper.loc[paper["group"] == OVERALL, TEST].to_numpy().sum())
    return (
        f"{grey} The test set here differs from the paper's ({images(contents).get(OVERALL, 0):,} images here, "
        f"{theirs:,} of MURA there): unless it is MURA's less some unusable files, the grey numbers are about other "
        "data and cannot be compared with ours."
    )
