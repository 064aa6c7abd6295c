"""The page: one HTML file with everything inside, for a browser, a phone and a printer; no script, no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from murace.report import curves, roc, summary, svg
from murace.report.choice import choice_table
from murace.report.contents import Contents, Picture
from murace.report.formats import plain
from murace.report.paper import CITATION
from murace.report.results import results_table
from murace.report.tables import counts_table, learners_table
from murace.vocabulary import DISCLAIMER, Level

__all__ = ["Contents", "Picture", "figures", "render"]

TITLE = "Abnormality detection in musculoskeletal radiographs"
PARTS = ("train", "finetune")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inset:
    """A drawing ready to be set into the page, with what it shows in words."""

    image: Markup
    alt: str


def figures(contents: Contents) -> dict[str, bytes]:
    """Draw every figure of the page as an SVG file.

    Returns:
        File name -> bytes: ``roc.svg`` where a curve exists, ``train-<learner>.svg``, ``finetune-<group>.svg``. The
        same contents give the same bytes.
    """
    curve = roc.draw(contents)
    files = {} if curve is None else {"roc.svg": curve}
    for part in PARTS:
        for name, drawn in curves.draw(contents, part).items():
            files[f"{part}-{svg.slug(name)}.svg"] = drawn
    return files


def render(contents: Contents) -> str:
    """Write the page. The same contents give the same text."""
    environment = Environment(
        loader=PackageLoader("murace.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    files = figures(contents)
    return environment.get_template("page.html").render(
        title=TITLE,
        disclaimer=DISCLAIMER,
        citation=CITATION,
        contents=contents,
        summary=summary,
        counts=counts_table(contents),
        learners=learners_table(contents),
        choice=choice_table(contents),
        results=[results_table(contents, level) for level in (Level.STUDY, Level.IMAGE)],
        roc=_inset(files["roc.svg"], roc.describe(contents)) if "roc.svg" in files else None,
        training=_insets(contents, "train", files),
        finetuning=_insets(contents, "finetune", files),
        pictures=_pictures(contents.maps),
    )


def _inset(drawing: bytes, alt: str) -> Inset:
    # Safe as it stands: our own SVG, in which matplotlib has escaped every text.
    return Inset(image=Markup(svg.inline(drawing)), alt=alt)


def _insets(contents: Contents, part: str, files: dict[str, bytes]) -> list[Inset]:
    return [
        _inset(files[f"{part}-{svg.slug(name)}.svg"], curves.describe(contents, part, name))
        for name in curves.of_part(contents, part)
    ]


def _pictures(maps: Sequence[Picture]) -> list[tuple[str, str]]:
    """Each picture's data address and caption."""
    return [(f"data:image/png;base64,{base64.b64encode(each.png).decode()}", each.caption) for each in maps]
