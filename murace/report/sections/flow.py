"""Section data flow: how many images came in, were left out, and went to training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass

from murace.report.contents import Contents
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Line, Row, Table, by_columns
from murace.vocabulary import OVERALL, Split

UNITS = {"patients": "Patients", "studies": "Studies", "abnormal_studies": "Abnormal", "images": "Images"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """One box of the diagram: a heading with lines of (what, how many)."""

    name: str
    lines: Sequence[tuple[str, str]]


def diagram(contents: Contents) -> list[Box]:
    """What came in, what was left out, then each split; empty where no numbers are given."""
    totals = {line["split"]: line for line in contents.flow.to_dict("records") if line["group"] == OVERALL}
    if not totals:
        return []
    used = sum(int(line["images"]) for line in totals.values())
    refused = sum(contents.rejected.values())
    reasons = [(reason, formats.count(number)) for reason, number in contents.rejected.items()]
    left_out = [*reasons, ("in all", formats.count(refused))] if reasons else [("", "none")]
    return [
        Box(name="Image files with a label", lines=[("found", formats.count(used + refused))]),
        Box(name="Could not be used", lines=left_out),
        *(_box(split, totals[split]) for split in Split if split in totals),
    ]


def _box(split: Split, line: Line) -> Box:
    return Box(
        name=formats.SPLIT_NAMES[split],
        lines=[
            ("patients", formats.count(line["patients"])),
            ("studies", formats.count(line["studies"])),
            ("of these abnormal", _part(line["abnormal_studies"], line["studies"])),
            ("images", formats.count(line["images"])),
        ],
    )


def _part(part: int, whole: int) -> str:
    return formats.count(part) + (f" ({formats.share(part / whole)})" if whole else "")


def flow_table(contents: Contents) -> Table | None:
    """Patients, studies and images of each group and split; None where no numbers are given."""
    lines = by_columns(contents.flow, "group", "split")
    splits = [split for split in Split if any(split == key[1] for key in lines)]
    if not lines:
        return None
    groups = sorted(dict.fromkeys(group for group, _ in lines), key=lambda group: group == OVERALL)
    rows = [
        Row(
            name=formats.group_name(group),
            cells=[
                Cell(text=formats.count(lines[group, split][unit]) if (group, split) in lines else formats.DASH)
                for split in splits
                for unit in UNITS
            ],
            total=group == OVERALL,
        )
        for group in groups
    ]
    return Table(
        key="table-s1",
        number="Table S1",
        caption="Patients, studies and images in each group and split.",
        corner="Group",
        spans=[(formats.SPLIT_NAMES[split], len(UNITS)) for split in splits],
        columns=[Column(name=name) for _ in splits for name in UNITS.values()],
        blocks=[Block(name="", rows=rows)],
        notes=[f"Abnormal: abnormal studies. {_patients(contents)} Data: evaluate/flow.csv."],
    )


def _patients(contents: Contents) -> str:
    if not contents.patient_level:
        return "The data name no patients: each study counts as one."
    return (
        "A patient belongs to one split, but may have studies in several groups: the groups' patients can add up to "
        "more than there are."
    )
