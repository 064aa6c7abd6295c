"""The HTML page of the report: one file with everything inside, for a browser, a phone and a printer; no script."""

import base64
from collections.abc import Mapping, Sequence

from murace.report.contents import Contents, Picture
from murace.report.figures import insets
from murace.report.sections import summary, support
from murace.report.sections.baselines import baselines_table
from murace.report.sections.calibration import calibration_table
from murace.report.sections.checklist import checklist_table
from murace.report.sections.choice import choice_table
from murace.report.sections.confusion import confusion_table
from murace.report.sections.differences import differences_table
from murace.report.sections.flow import diagram, flow_table
from murace.report.sections.limits import limits
from murace.report.sections.operating import operating_table
from murace.report.sections.paper import CITATION
from murace.report.sections.results import further_table, results_table
from murace.report.sections.slices import slices_table
from murace.report.sections.tables import counts_table, learners_table
from murace.report.text import escape
from murace.report.text.formats import plain
from murace.report.text.grid import Table
from murace.vocabulary import DISCLAIMER, Level

TITLE = "Abnormality detection in musculoskeletal radiographs"
KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}  # by a file's first bytes


def tables(contents: Contents) -> dict[str, Table]:
    """Every table of the page by its key, in the order of the page; those without numbers are left out."""
    made = [
        baselines_table(contents),
        flow_table(contents),
        counts_table(contents),
        learners_table(contents),
        choice_table(contents),
        *(results_table(contents, level) for level in (Level.STUDY, Level.IMAGE)),
        *(further_table(contents, level) for level in (Level.STUDY, Level.IMAGE)),
        confusion_table(contents),
        differences_table(contents),
        calibration_table(contents),
        operating_table(contents),
        slices_table(contents),
        checklist_table(contents),
    ]
    return {table.key: table for table in made if table is not None}


def render(contents: Contents, drawings: Mapping[str, bytes]) -> str:
    """Write the page. The same contents give the same text.

    Args:
        contents: what it shows.
        drawings: what `figures` returned for these contents.

    Raises:
        ValueError: a picture is neither PNG nor JPEG.
    """
    environment = escape.templates()
    environment.filters["plain"] = plain
    return environment.get_template("page.html").render(
        title=TITLE,
        disclaimer=DISCLAIMER,
        citation=CITATION,
        contents=contents,
        summary=summary,
        limits=limits(contents),
        resamples=support.resamples(contents),
        has_intervals=support.has_intervals(contents.scores),
        flow=diagram(contents),
        tables=tables(contents),
        insets=insets(contents, drawings),
        maps=_pictures(contents.maps),
        errors=_pictures(contents.errors),
        augmentation=_pictures([contents.augmentation] if contents.augmentation else []),
    )


def _pictures(pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    """Each picture's data address and caption."""
    return [(_address(each.png), each.caption) for each in pictures]


def _address(data: bytes) -> str:
    kind = next((kind for start, kind in KINDS.items() if data.startswith(start)), None)
    if kind is None:
        raise ValueError("a picture of the report is neither PNG nor JPEG")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
