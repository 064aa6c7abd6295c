"""A comparison table by metric, model and group: the best in bold, the paper's numbers beside ours."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from murace.report.sections.paper import paper_values
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Line, Lines, Row, best_of, by_columns
from murace.vocabulary import BASELINE, LOWER_IS_BETTER, OVERALL

BOLD = "Bold: the best of its column within the metric, before rounding; equals are all bold."
Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The scores of one table by (model, group, metric), and the paper's values under the same keys."""

    lines: Lines
    paper: Mapping[Key, float]
    models: Sequence[str]
    groups: Sequence[str]
    chosen: Mapping[str, str]

    def value(self, model: str, group: str, metric: str) -> float:
        """A score; NaN where it is undefined or absent."""
        value = self.lines.get((model, group, metric), {}).get("value")
        return formats.NAN if value is None else float(value)

    def block(self, metric: str) -> Block:
        """One metric: a row per model, a cell per group."""
        lowest = metric in LOWER_IS_BETTER
        best = {
            group: best_of([self.value(model, group, metric) for model in self.models], lowest=lowest)
            for group in self.groups
        }
        rows = [
            Row(
                name=formats.model_name(model),
                cells=[self._cell((model, group, metric), best=place in best[group]) for group in self.groups],
            )
            for place, model in enumerate(self.models)
        ]
        return Block(name=formats.metric_name(metric) + (" (lower is better)" if lowest else ""), rows=rows)

    @property
    def has_paper(self) -> bool:
        """Whether the paper has a number for any of these scores."""
        return not self.paper.keys().isdisjoint(self.lines)

    def columns(self, details: Mapping[str, str], marks: Mapping[str, str] | None = None) -> list[Column]:
        """The groups as headings, each with its detail and its warning."""
        marks = marks or {}
        return [
            Column(name=formats.group_name(group), detail=details.get(group, ""), mark=marks.get(group, ""))
            for group in self.groups
        ]

    def _cell(self, key: Key, *, best: bool) -> Cell:
        model, group, _ = key
        line = self.lines.get(key, {})
        return Cell(
            text=formats.score(self.value(*key)),
            best=best,
            chosen=self.chosen.get(group) == model,
            change=self._change(key, line),
            detail=formats.interval(line.get("low"), line.get("high")),
            paper=formats.score(self.paper[key], 2) if key in self.paper else "",
        )

    def _change(self, key: Key, line: Line) -> str:
        """The change over the baseline; a percentage of nothing, or of less, would mislead."""
        model, group, metric = key
        if model == BASELINE or not self.value(BASELINE, group, metric) > 0:
            return ""
        return formats.change(line.get("change"))


def compare(frame: pd.DataFrame, *, model: str, paper: int, chosen: Mapping[str, str] | None = None) -> Comparison:
    """Arrange the scores of one level.

    Args:
        frame: the column named by `model`, and group, metric, value; optionally low, high and change.
        model: `model` or `learner`.
        paper: the number of the paper's table.
        chosen: group -> the model that is marked there.
    """
    keys = [model, "group", "metric"]
    return Comparison(
        lines=by_columns(frame, *keys),
        paper=paper_values(paper, keys),
        models=list(dict.fromkeys(frame[model])),
        groups=overall_first(frame["group"]),
        chosen=chosen or {},
    )


def overall_first(groups: Iterable[str]) -> list[str]:
    """Each group once, in the order of appearance, `overall` before all."""
    return sorted(dict.fromkeys(groups), key=lambda group: group != OVERALL)
