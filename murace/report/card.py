"""MODEL_CARD.md: what the model is, what it was measured to do, and what it must not be used for.

After M. Mitchell and others, "Model cards for model reporting", 2019.
"""

import re
from typing import Any

from markupsafe import Markup

from murace.report.contents import Contents
from murace.report.sections import baselines, card_sheets, support
from murace.report.sections.choice import remarks
from murace.report.sections.limits import limits
from murace.report.sections.paper import CITATION
from murace.report.text import escape
from murace.vocabulary import DISCLAIMER


def model_card(contents: Contents) -> str:
    """Write the model card in Markdown.

    Every text that comes from the contents is escaped: no markup, no HTML and no link of theirs passes. The same
    contents give the same text.
    """
    environment = escape.templates(_harmless)
    card = environment.get_template("card.md").render(
        contents=contents,
        disclaimer=DISCLAIMER,
        citation=CITATION,
        version=contents.facts.get("murace"),
        has_intervals=support.has_intervals(contents.scores),
        sheets=card_sheets.sheets(contents),
        baselines=baselines.sentence(contents),
        choices=remarks(contents.roster),
        limits=limits(contents),
    )
    tidy = "\n".join(line.rstrip() for line in card.splitlines())
    return re.sub("\n{3,}", "\n\n", tidy) + "\n"


def _harmless(value: Any) -> Markup:
    """Markdown instead of HTML escaping; what a macro has set is escaped already."""
    return value if isinstance(value, Markup) else Markup(escape.markdown(str(value)))
