"""All figures of the report: as SVG files, and as parts of the page."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from murace.report.contents import Contents
from murace.report.curves import decision, reliability, roc, training
from murace.report.drawing import svg

PARTS = ("train", "finetune")


def figures(contents: Contents) -> dict[str, bytes]:
    """Draw every figure of the page as an SVG file.

    Returns:
        File name -> bytes: ``roc.svg`` and ``benefit.svg`` where there is a curve, ``reliability-<model>.svg``,
        ``train-<learner>.svg``, ``finetune-<group>.svg``. The same contents give the same bytes.
    """
    files = {"roc.svg": roc.draw(contents), f"{decision.STEM}.svg": decision.draw(contents)}
    files |= reliability.draw(contents)
    for part in PARTS:
        files |= training.draw(contents, part)
    return {name: drawn for name, drawn in files.items() if drawn is not None}


def insets(contents: Contents, drawings: Mapping[str, bytes]) -> dict[str, Sequence[tuple[Markup, str]]]:
    """The drawings by their place on the page, each with its words; a place without a drawing is empty.

    Args:
        contents: what was drawn.
        drawings: what `figures` returned for it.
    """
    words = {
        "roc": {"roc": roc.describe(contents)},
        decision.STEM: {decision.STEM: decision.describe(contents)},
        "reliability": {
            reliability.stem(model): reliability.describe(contents, model) for model in reliability.models(contents)
        },
    }
    for part in PARTS:
        names = training.of_part(contents, part)
        words[part] = {training.stem(part, name): training.describe(contents, part, name) for name in names}
    # Safe as they stand: our own SVG, in which matplotlib has escaped every text.
    return {
        place: [
            (Markup(svg.inline(drawings[f"{stem}.svg"])), text)
            for stem, text in told.items()
            if f"{stem}.svg" in drawings
        ]
        for place, told in words.items()
    }
