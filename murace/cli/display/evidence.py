"""Terminal tables beside the scores: differences between models, calibration, slices; all per study."""

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from murace.cli.display.columns import Column, Columns, heading, words
from murace.cli.display.tables import UNDEFINED
from murace.metrics.baselines import in_words, is_baseline, no_better
from murace.metrics.comparison import SIGNIFICANT, is_real
from murace.vocabulary import OVERALL, Level, Metric

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS = 10
MEASURED = {"slope": 2, "intercept": 2, "brier": 3, "ece": 3}  # metric -> digits


def records(table: "pd.DataFrame") -> list[dict[Hashable, Any]]:
    """The rows of a table for JSON, which has neither NaN nor infinity: both are null."""
    missing = table.isna() | table.isin([math.inf, -math.inf])
    return table.astype(object).where(~missing, None).to_dict("records")


def undefined_notes(intervals: "pd.DataFrame") -> list[str]:
    """A line on the scores of studies that have no value in some resamples; none where all have.

    Args:
        intervals: as in `murace.report.contents.Contents`.
    """
    studies = intervals[intervals["level"] == str(Level.STUDY)].to_dict("records")
    some = [row for row in studies if row["undefined"]]
    if not some:
        return []
    worst = max(some, key=lambda row: row["undefined"])
    where = f"{worst['metric']} of {worst['model']} in {worst['group']}"
    counted = f"{worst['undefined']:,} of {worst['resamples']:,}"
    start = f"{len(some):,} of {len(studies):,} scores are undefined in some resamples, which are left out"
    return [f"{start} (at most {counted}: {where})"]


def comparisons_table(comparisons: "pd.DataFrame") -> list[Columns]:
    """How much better one model is than another, and the p of that; a row per metric and group, a column per pair.

    Nothing where there is no pair.

    Args:
        comparisons: as in `murace.report.contents.Contents`.
    """
    if comparisons.empty or comparisons["reference"].map(is_baseline).all():
        return []
    of_models = ~comparisons["reference"].map(is_baseline)
    studies = comparisons[of_models & (comparisons["level"] == str(Level.STUDY))]
    pairs = list(dict.fromkeys(zip(studies["model"], studies["reference"], strict=True)))
    cells = {(row["metric"], row["group"], row["model"], row["reference"]): row for row in studies.to_dict("records")}
    groups, tests = list(dict.fromkeys(studies["group"])), dict(zip(studies["metric"], studies["test"], strict=True))
    rows = [(metric, group) for metric in tests for group in groups]
    names = [
        name for metric, test in tests.items() for name in (metric, f"({test})", *[""] * len(groups))[: len(groups)]
    ]
    more = f"; {len(pairs) - MOST_PAIRS} more pairs: --json" if len(pairs) > MOST_PAIRS else ""
    table = Columns(
        title=f"Differences by study, p (groups: Holm; bold: p < {SIGNIFICANT}, 0 outside the interval){more}",
        words=[
            Column(
                heading=Text("metric"), cells=[words(name, style="dim" if name[:1] == "(" else "") for name in names]
            ),
            Column(heading=Text("group"), cells=[words(group) for _, group in rows]),
        ],
        numbers=[
            Column(
                heading=heading(model).append("\nminus ").append(heading(other)),
                cells=[_difference(cells.get((*row, model, other))) for row in rows],
            )
            for model, other in pairs[:MOST_PAIRS]
        ],
        sections=range(len(groups) - 1, len(rows), len(groups)),
    )
    return [table]


def baseline_lines(baselines: "pd.DataFrame", comparisons: "pd.DataFrame") -> list[str]:
    """What is known without looking at a picture, a line per baseline, and which models are not better than that.

    Args:
        baselines: as in `murace.report.contents.Contents`.
        comparisons: likewise.
    """
    overall = baselines[(baselines["level"] == str(Level.STUDY)) & (baselines["group"] == OVERALL)]
    found, worse = [], no_better(comparisons)
    for row in overall[overall["metric"] == str(Metric.AUC)].to_dict("records"):
        name = str(row["features"])
        if name not in worse:  # the group alone, which the next one knows as well
            continue
        bounds = "" if math.isnan(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})"
        value = UNDEFINED if math.isnan(row["value"]) else f"{row['value']:.2f}"
        found.append(f"without looking at a picture ({in_words(name)}): AUC {value}{bounds}")
        if worse[name]:
            found.append(f"not better than knowing the group ({in_words(name)}): {', '.join(worse[name])}")
    return found


def calibration_table(calibration: "pd.DataFrame") -> Columns:
    """How far each model's probabilities may be read as probabilities: overall, before and after where both are known.

    Args:
        calibration: as in `murace.report.contents.Contents`.
    """
    overall = calibration[calibration["group"] == OVERALL]
    cells = {(row["model"], row["stage"], row["metric"]): row for row in overall.to_dict("records")}
    stages = list(dict.fromkeys(overall["stage"]))
    rows = [(model, stage) for model in dict.fromkeys(overall["model"]) for stage in stages]
    rows = [row for row in rows if any((*row, metric) in cells for metric in MEASURED)]
    names = [model if stage == stages[0] else f"  {stage}" for model, stage in rows]
    return Columns(
        title="Probabilities by study, with 95 % intervals (best: slope 1, others 0; ece is biased upwards)",
        words=[Column(heading=Text("model"), cells=[words(name) for name in names])],
        numbers=[
            Column(heading=Text(metric), cells=[_bounded(cells.get((*row, metric)), digits) for row in rows])
            for metric, digits in MEASURED.items()
        ],
    )


def slices_table(slices: "pd.DataFrame", models: Sequence[str]) -> list[Columns]:
    """The AUC with its interval in every part of every slice; parts too small to say much say so.

    Nothing where there is no slice.

    Args:
        slices: as in `murace.report.contents.Contents`.
        models: the columns, in order.
    """
    if slices.empty:
        return []
    found = slices[(slices["level"] == str(Level.STUDY)) & (slices["metric"] == str(Metric.AUC))].to_dict("records")
    cells = {(row["slice"], row["part"], row["model"]): row for row in found}
    parts = list({(row["slice"], row["part"]): row for row in found}.values())
    firsts = {row["slice"]: row["part"] for row in reversed(parts)}
    sizes = [f"{row['cases']:,}" + ("\nsmall" if row["small"] else "") for row in parts]
    table = Columns(
        title=f"Slices by study: {Metric.AUC}, below it the 95 % interval",
        words=[
            Column(
                heading=Text("slice"),
                cells=[words(row["slice"] if firsts[row["slice"]] == row["part"] else "") for row in parts],
            ),
            Column(heading=Text("part"), cells=[words(row["part"]) for row in parts]),
            Column(heading=Text("studies"), cells=[words(size) for size in sizes]),
        ],
        numbers=[
            Column(
                heading=heading(model), cells=[_stacked(cells.get((row["slice"], row["part"], model))) for row in parts]
            )
            for model in models
        ],
    )
    return [table]


def _difference(row: Any) -> Text:
    """`+0.031 .004`: the difference, and its p (that of Holm where there is one)."""
    if row is None or math.isnan(row["difference"]):
        return Text(UNDEFINED)
    p = row["p"] if math.isnan(row["p_holm"]) else row["p_holm"]
    style = "bold" if is_real(row) else "dim"
    return Text.assemble(f"{row['difference']:+.3f}", (f" {_p(p):>5}", style), style="bold" if style == "bold" else "")


def _p(p: float) -> str:
    if math.isnan(p):
        return UNDEFINED
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _bounded(row: Any, digits: int) -> Text:
    """`0.95 [0.80,1.12]`."""
    if row is None or math.isnan(row["value"]):
        return Text(UNDEFINED)
    bounds = "" if math.isnan(row["low"]) else f" [{row['low']:.{digits}f},{row['high']:.{digits}f}]"
    return Text.assemble(f"{row['value']:.{digits}f}", (bounds, "dim"))


def _stacked(row: Any) -> Text:
    """The value, and below it the interval."""
    if row is None or math.isnan(row["value"]):
        return Text(UNDEFINED)
    bounds = "" if math.isnan(row["low"]) else f"{row['low']:.2f}-{row['high']:.2f}"
    return Text.assemble(f"{row['value']:.3f}", (f"\n{bounds}", "dim"), style="dim" if row["small"] else "")
