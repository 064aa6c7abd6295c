import dataclasses
import re
from importlib import resources

import pandas as pd
import pytest

from murace.report.contents import Contents
from murace.report.sections.checklist import BLANK, PARTS, checklist_table
from murace.report.text.grid import Cell, Table
from tests.report import made_up

TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)
STARD_AI = (
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15a 15b 15c 15d 16a 16b 16c 17a 17b 18 19 20 21 22 23 24 25 26a 26b 27 28 29 30 "
    "31 32 33 34 35 36 37 38 39 40a 40b"
)


@pytest.fixture(scope="module")
def contents() -> Contents:
    return made_up.whole()


def places(table: Table) -> dict[str, Cell]:
    """Topic -> where it stands in the report."""
    return {row.name: row.cells[-1] for block in table.blocks for row in block.rows}


@pytest.mark.parametrize(
    ("column", "items"),
    [(0, " ".join(map(str, range(1, 45)))), (1, TRIPOD), (2, STARD_AI)],
    ids=["claim", "tripod", "stard"],
)
def test_every_item_of_the_guidelines_has_a_line(contents: Contents, column: int, items: str) -> None:
    texts = [row.cells[column].text for block in checklist_table(contents).blocks for row in block.rows]
    assert {item for text in texts for item in text.split(", ") if item} == set(items.split())


def test_without_patients_nobody_is_told_that_the_splits_are_disjoint(contents: Contents) -> None:
    topic = "Level at which partitions are disjoint"
    assert places(checklist_table(contents))[topic].text == "Data"
    unknown = dataclasses.replace(contents, patient_level=False)
    assert places(checklist_table(unknown))[topic].text.startswith(BLANK)


@pytest.mark.parametrize(
    ("field", "topic"),
    [
        ("flow", "Data flow and exclusions"),
        ("comparisons", "Comparison of models"),
        ("calibration", "Calibration"),
        ("operating", "Output and thresholds"),
        ("benefit", "Clinical utility"),
        ("confusion", "Cross tabulation"),
        ("slices", "Subgroups and heterogeneity"),
        ("errors", "Failure analysis"),
        ("maps", "Explainability"),
        ("histories", "Class imbalance"),
        ("settings", "Training"),
        ("facts", "Software and versions"),
    ],
)
def test_what_the_report_lacks_is_a_named_blank(contents: Contents, field: str, topic: str) -> None:
    assert not places(checklist_table(contents))[topic].text.startswith(BLANK)
    nothing = {"maps": (), "errors": (), "histories": {}, "settings": {}, "facts": {}}.get(field, pd.DataFrame())
    lacking = places(checklist_table(dataclasses.replace(contents, **{field: nothing})))
    assert lacking[topic].text.startswith(BLANK)
    assert len(lacking[topic].text) > len(BLANK)


def test_intervals_and_stability_are_told_from_the_numbers(contents: Contents) -> None:
    plain, whole = places(checklist_table(made_up.contents())), places(checklist_table(contents))
    for topic in ("Confidence intervals", "Stability of the selection"):
        assert plain[topic].text.startswith(BLANK)
        assert not whole[topic].text.startswith(BLANK)


@pytest.mark.parametrize(
    "topic", ["Ethics", "Funding", "Registration", "Patient and public involvement", "Sample size"]
)
def test_what_no_software_knows_is_a_blank(contents: Contents, topic: str) -> None:
    assert places(checklist_table(contents))[topic].text.startswith(BLANK)


def test_every_line_says_where_or_what_is_missing(contents: Contents) -> None:
    for table in (checklist_table(contents), checklist_table(made_up.contents(("all",), ("convnet",), maps=0))):
        found = places(table)
        assert len(found) == sum(len(block.rows) for block in table.blocks)
        assert all(cell.text and cell.text != BLANK and cell.detail != BLANK for cell in found.values())


def test_sections_are_headings_of_the_page() -> None:
    folder = resources.files("murace.report").joinpath("templates")
    texts = [file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".html")]
    headings = {heading for text in texts for heading in re.findall(r"<h[23][^>]*>([^<{]+)</h", text)}
    assert {section for section, _ in PARTS.values()} <= headings


def test_no_compliance_is_claimed(contents: Contents) -> None:
    notes = " ".join(checklist_table(contents).notes)
    assert "Presence of a topic is no proof of compliance" in notes
    assert "STARD-AI extends STARD 2015" in notes
