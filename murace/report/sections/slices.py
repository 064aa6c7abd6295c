"""Section slices: the calibrated ensemble in subgroups of the test split, and the other models' AUC beside it."""

from typing import Any

import pandas as pd

from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Row, Table, by_columns, score_cell
from murace.vocabulary import CALIBRATED, Level

METRICS = {"auc": "AUC", "recall": "Sensitivity", "specificity": "Specificity", "kappa": "Kappa"}
NAMES = {"group": "Group", "views": "Images in the study", "image size": "Image size, largest of the study"}
NOTES = [
    "A slice is a part of the test split; nothing was trained or chosen for it. Slices overlap, and among many some "
    "look good or bad by chance: they show where to look, and prove nothing.",
    "Under a score: its 95% interval by the bootstrap over patients.",
    "Data: evaluate/slices.csv.",
]


def slices_table(contents: Contents) -> Table | None:
    """A block per slice, a row per part; None where nothing was sliced."""
    frame = contents.slices
    if frame.empty:
        return None
    others = [model for model in dict.fromkeys(frame["model"]) if model != CALIBRATED]
    blocks = [_block(str(name), _one_level(part), others) for name, part in frame.groupby("slice", sort=False)]
    marked = any(row.mark for block in blocks for row in block.rows)
    small = [support.SMALL] if marked else []
    spans = [("Test cases", 2), ("Calibrated ensemble", len(METRICS)), *([("AUC of", len(others))] if others else [])]
    return Table(
        key="table-s7",
        number="Table S7",
        caption="Slices of the test split.",
        corner="Part",
        spans=spans,
        columns=[
            Column(name="All"),
            Column(name="Abnormal"),
            *(Column(name=name) for name in METRICS.values()),
            *(Column(name=formats.model_name(model)) for model in others),
        ],
        blocks=blocks,
        notes=[*small, *NOTES],
    )


def _one_level(part: pd.DataFrame) -> pd.DataFrame:
    """The rows per study, where the slice has any."""
    level = Level.STUDY if (part["level"] == Level.STUDY).any() else Level.IMAGE
    return part[part["level"] == level]


def _block(name: str, frame: pd.DataFrame, others: list[str]) -> Block:
    level = "images" if (frame["level"] == Level.IMAGE).any() else "studies"
    rows = [_row(str(part), lines, others) for part, lines in frame.groupby("part", sort=False)]
    return Block(name=f"{NAMES.get(name, name)} ({level})", rows=rows)


def _row(part: str, frame: pd.DataFrame, others: list[str]) -> Row:
    lines = by_columns(frame, "model", "metric")
    first: dict[Any, Any] = frame.iloc[0].to_dict()
    return Row(
        name=part,
        mark=support.small(first) if bool(first["small"]) else "",
        cells=[
            Cell(text=formats.count(first["cases"])),
            Cell(text=formats.count(first["abnormal"])),
            *(score_cell(lines.get((CALIBRATED, metric), {})) for metric in METRICS),
            *(Cell(text=formats.score(lines.get((model, "auc"), {}).get("value"))) for model in others),
        ],
    )
