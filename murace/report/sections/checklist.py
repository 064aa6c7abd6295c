"""Section reporting guidelines: where items of CLAIM, TRIPOD+AI and STARD-AI stand in the report, and what is blank."""

import csv
from collections.abc import Callable, Mapping
from importlib import resources
from itertools import groupby

from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.text.grid import Block, Cell, Column, Row, Table

BLANK = "to be filled in by the authors: "
NO_PROOF = (
    "Presence of a topic is no proof of compliance: the table says where to look, and whoever reports a study checks "
    "the guidelines' own words."
)
NUMBERING = (
    "Item numbers: CLAIM 2024 update (44 items; Radiology: Artificial Intelligence 2024), TRIPOD+AI (27 items; BMJ "
    "2024;385:e078378), STARD-AI (40 items; Nature Medicine 2025;31:3283). STARD-AI extends STARD 2015 and counts anew."
)


# a part of the report -> the heading under which it stands, and whether these contents hold it
PARTS: Mapping[str, tuple[str, Callable[[Contents], bool]]] = {
    "summary": ("Summary", lambda contents: len(contents.scores) > 0),
    "counts": ("Data", lambda contents: len(contents.counts) > 0),
    "flow": ("Data", lambda contents: len(contents.flow) > 0),
    "patients": ("Data", lambda contents: len(contents.flow) > 0 and contents.patient_level),
    "learners": ("Learners", lambda contents: len(contents.learners) > 0),
    "curves": ("Learners", lambda contents: _some(contents.histories, "train")),
    "choice": ("Choice of learners", lambda contents: bool(contents.roster["groups"])),
    "stability": ("Choice of learners", lambda contents: _is_stability_known(contents)),
    "results": ("Results on the test split", lambda contents: len(contents.scores) > 0),
    "intervals": ("Results on the test split", lambda found: support.has_intervals(found.scores)),
    "confusion": ("Results on the test split", lambda contents: len(contents.confusion) > 0),
    "comparisons": ("Comparisons", lambda contents: len(contents.comparisons) > 0),
    "calibration": ("Calibration", lambda contents: len(contents.calibration) > 0),
    "operating": ("Operating points", lambda contents: len(contents.operating) > 0),
    "benefit": ("Net benefit", lambda contents: len(contents.benefit) > 0),
    "slices": ("Slices", lambda contents: len(contents.slices) > 0),
    "errors": ("Errors", lambda contents: len(contents.errors) > 0),
    "maps": ("Activation maps", lambda contents: len(contents.maps) > 0),
    "limits": ("Limits", lambda contents: True),
    "preparation": ("Settings", lambda contents: _some(contents.settings, "prepare")),
    "training": ("Settings", lambda contents: _some(contents.settings, "train")),
    "versions": ("Settings", lambda contents: len(contents.facts) > 0),
}


def checklist_table(contents: Contents) -> Table:
    """Map the report to the reporting guidelines.

    Where the contents lack what an item asks for, and where no software can know it, the line holds a named blank.
    """
    blocks = [
        Block(name=name, rows=[_row(topic, contents) for topic in topics])
        for name, topics in groupby(_topics(), key=lambda topic: topic["block"])
    ]
    return Table(
        key="checklist",
        number="Reporting checklist",
        caption="What reporting guidelines ask for: where it stands in this report, and what only the authors can add.",
        corner="Topic",
        columns=[Column(name=name) for name in ("CLAIM", "TRIPOD+AI", "STARD-AI", "In this report")],
        blocks=blocks,
        notes=[NO_PROOF, NUMBERING],
    )


def _topics() -> list[dict[str, str]]:
    text = resources.files("murace.report").joinpath("guidelines.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _row(topic: Mapping[str, str], contents: Contents) -> Row:
    items = [Cell(text=topic[guideline]) for guideline in ("claim", "tripod", "stard")]
    return Row(name=topic["topic"], cells=[*items, _place(topic, contents)])


def _place(topic: Mapping[str, str], contents: Contents) -> Cell:
    """The section where the topic stands; else, or for what is left of it, a named blank."""
    section, is_held = PARTS[topic["part"]] if topic["part"] else ("", None)
    if is_held is None or not is_held(contents):
        return Cell(text=f"{BLANK}{topic['blank']}")
    return Cell(text=section, detail=f"{BLANK}{topic['rest']}" if topic["rest"] else "")


def _some(names: Mapping[str, object], beginning: str) -> bool:
    return any(name.startswith(beginning) for name in names)


def _is_stability_known(contents: Contents) -> bool:
    return any("stability" in choice for choice in contents.roster["groups"].values())
