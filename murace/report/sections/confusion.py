"""Section confusion matrices: true and false positives and negatives at the threshold 0.5."""

from collections.abc import Mapping
from typing import Any

from murace.report.contents import Contents
from murace.report.sections.comparison import overall_first
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Row, Table
from murace.vocabulary import CALIBRATED, OVERALL, Level

COUNTS = ("true_positive", "false_negative", "false_positive", "true_negative")


def confusion_table(contents: Contents) -> Table | None:
    """A row per model, then one per group of the calibrated ensemble, per study; None where nothing was counted."""
    frame = contents.confusion
    if frame.empty:
        return None
    frame = frame[frame["level"] == Level.STUDY]
    overall = frame[frame["group"] == OVERALL].to_dict("records")
    ours = frame[(frame["model"] == CALIBRATED) & (frame["group"] != OVERALL)]
    by_group = {line["group"]: line for line in ours.to_dict("records")}
    blocks = [
        Block(name="All groups together", rows=[_row(formats.model_name(line["model"]), line) for line in overall])
    ]
    if by_group:
        rows = [_row(formats.group_name(group), by_group[group]) for group in overall_first(by_group)]
        blocks.append(Block(name="Calibrated ensemble, by group", rows=rows))
    return Table(
        key="table-s3",
        number="Table S3",
        caption="Confusion matrices of the test studies: the decisions at probability 0.5 against the labels.",
        corner="Model",
        spans=[("Abnormal studies", 2), ("Normal studies", 2)],
        columns=[
            *(Column(name=name) for name in ("found", "missed", "called abnormal", "called normal")),
            Column(name="Wrong"),
        ],
        blocks=blocks,
        notes=[
            "found: true positives; missed: false negatives; normal called abnormal: false positives; normal called "
            "normal: true negatives. Under a number: its share of the abnormal or normal studies; under the wrong "
            "ones: their share of all. Data: evaluate/confusion.csv."
        ],
    )


def _row(name: str, line: Mapping[Any, Any]) -> Row:
    found, missed, alarms, quiet = (int(line[count]) for count in COUNTS)
    abnormal, normal = found + missed, alarms + quiet
    parts = [(found, abnormal), (missed, abnormal), (alarms, normal), (quiet, normal)]
    return Row(name=name, cells=[_cell(*part) for part in [*parts, (missed + alarms, abnormal + normal)]])


def _cell(number: int, whole: int) -> Cell:
    return Cell(text=formats.count(number), detail=formats.share(number / whole) if whole else "")
