"""Sections data (Table 1) and learners (Table 2): images per group and split; parameters and training time."""

from collections.abc import Mapping
from typing import Any

from murace.report.contents import Contents
from murace.report.sections.paper import paper_table
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Row, Table
from murace.vocabulary import OVERALL

GREY = "Grey: the paper's numbers, for MURA."
COUNTS = tuple(f"{split}_{side}" for split in formats.SPLIT_NAMES for side in ("positive", "negative"))
DROPPED = {f"{split}_dropped" for split in formats.SPLIT_NAMES}  # by `prepare --leaks`


def counts_table(contents: Contents) -> Table:
    """Table 1: images per group, split and class."""
    paper = {line["group"]: line for line in paper_table(1).to_dict("records")}
    rows = [_counts_row(line, paper.get(line["group"], {})) for line in contents.counts.to_dict("records")]
    sides = [Column(name="Abnormal"), Column(name="Normal")] * len(formats.SPLIT_NAMES)
    return Table(
        key="table-1",
        number="Table 1",
        caption="Images in each group, split and class.",
        corner="Group",
        spans=[(name, 2) for name in formats.SPLIT_NAMES.values()],
        columns=[*sides, Column(name="Total"), *([Column(name="Dropped")] if set(contents.counts) >= DROPPED else [])],
        blocks=[Block(name="", rows=rows)],
        notes=[GREY] if any(cell.paper for row in rows for cell in row.cells) else [],
    )


def _counts_row(line: Mapping[Any, Any], paper: Mapping[Any, Any]) -> Row:
    cells = [Cell(text=formats.count(line[name]), paper=_paper_count(paper.get(name))) for name in COUNTS]
    ours, theirs = (sum(int(counts[name]) for name in COUNTS if name in counts) for counts in (line, paper))
    total = Cell(text=formats.count(ours), paper=_paper_count(theirs or None))
    dropped = [Cell(text=formats.count(sum(line[name] for name in DROPPED)))] if line.keys() >= DROPPED else []
    return Row(name=formats.group_name(line["group"]), cells=[*cells, total, *dropped], total=line["group"] == OVERALL)


def learners_table(contents: Contents) -> Table:
    """Table 2: what was trained, and what it took."""
    paper = {line["learner"]: line for line in paper_table(2).to_dict("records")}
    rows = [_learner_row(line, paper.get(line["learner"], {})) for line in contents.learners.to_dict("records")]
    names = ("Parameters", "Trainable", "Batch", "Epochs", "Best epoch", "Time", "Images/s", "Precision", "Device")
    return Table(
        key="table-2",
        number="Table 2",
        caption="Training of the learners on the training images of all groups.",
        corner="Learner",
        columns=[Column(name=name) for name in names],
        blocks=[Block(name="", rows=rows)],
        notes=[
            "Parameters are counted as in the paper: with the running means and variances of batch normalisation. "
            "Grey: the paper's numbers (its limit of epochs; its time on a GeForce GTX 1070)."
        ],
    )


def _learner_row(line: Mapping[Any, Any], paper: Mapping[Any, Any]) -> Row:
    cells = [
        Cell(text=formats.count(line["parameters"]), paper=_paper_count(paper.get("parameters"))),
        Cell(text=formats.count(line["trainable"])),
        Cell(text=formats.count(line["batch_size"]), paper=_paper_count(paper.get("batch_size"))),
        Cell(text=formats.count(line["epochs"]), paper=_paper_count(paper.get("epochs"))),
        Cell(text=formats.count(line["best_epoch"])),
        Cell(text=formats.hours(line["hours"]), paper=f"{paper['training_hours']:.0f} h" if paper else ""),
        Cell(text=formats.rate(line["images_per_second"])),
        Cell(text=formats.plain(line["precision"])),
        Cell(text=formats.plain(line["device"])),
    ]
    return Row(name=formats.model_name(line["learner"]), cells=cells)


def _paper_count(value: float | None) -> str:
    return "" if value is None else formats.count(value)
