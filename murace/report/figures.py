"""All figures of the report: as SVG files, and as parts of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from murace.report.contents import Contents
from murace.report.curves import decision, reliability, roc, training
from murace.report.drawing import svg

PARTS = ("train", "finetune")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inset:
    """A drawing ready to be set into the page, with what it shows in words."""

    image: Markup
    alt: str


def figures(contents: Contents) -> dict[str, bytes]:
    """Draw every figure of the page as an SVG file.

    Returns:
        File name -> bytes: ``roc.svg`` and ``benefit.svg`` where there is a curve, ``reliability-<model>.svg``,
        ``train-<learner>.svg``, ``finetune-<group>.svg``. The same contents give the same bytes.
    """
    files = {f"{name}.svg": drawn for name, drawn in _singles(contents).items() if drawn is not None}
    for model, drawn in reliability.draw(contents).items():
        files[f"{reliability.stem(model)}.svg"] = drawn
    for part in PARTS:
        for name, drawn in training.draw(contents, part).items():
            files[f"{part}-{svg.slug(name)}.svg"] = drawn
    return files


def insets(contents: Contents, drawings: Mapping[str, bytes]) -> dict[str, Sequence[Inset]]:
    """The drawings by their place on the page, each with its words; a place without a drawing is empty.

    Args:
        contents: what was drawn.
        drawings: what `figures` returned for it.
    """
    words = {"roc": roc.describe, decision.STEM: decision.describe}
    placed: dict[str, Sequence[Inset]] = {
        name: [_inset(drawings[f"{name}.svg"], describe(contents))] if f"{name}.svg" in drawings else []
        for name, describe in words.items()
    }
    placed["reliability"] = [
        _inset(drawings[f"{reliability.stem(model)}.svg"], reliability.describe(contents, model))
        for model in reliability.models(contents)
    ]
    for part in PARTS:
        placed[part] = [
            _inset(drawings[f"{part}-{svg.slug(name)}.svg"], training.describe(contents, part, name))
            for name in training.of_part(contents, part)
        ]
    return placed


def _singles(contents: Contents) -> dict[str, bytes | None]:
    return {"roc": roc.draw(contents), decision.STEM: decision.draw(contents)}


def _inset(drawing: bytes, alt: str) -> Inset:
    # Safe as it stands: our own SVG, in which matplotlib has escaped every text.
    return Inset(image=Markup(svg.inline(drawing)), alt=alt)
