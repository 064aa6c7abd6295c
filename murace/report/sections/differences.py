"""Section differences: the calibrated ensemble against each other model, with confidence intervals and p-values."""

import pandas as pd

from murace.metrics.baselines import is_baseline
from murace.metrics.comparison import is_real
from murace.report.contents import Contents
from murace.report.sections.comparison import overall_first
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Line, Row, Table, by_columns
from murace.vocabulary import CALIBRATED, OVERALL, Level

TESTS = {"delong": "DeLong's test", "mcnemar": "exact McNemar test", "bootstrap": "paired bootstrap over patients"}
NOTES = [
    "A positive difference is in favour of the calibrated ensemble. Under it: its 95% interval by the paired bootstrap "
    "over patients, then p. Interval and p come by different ways and can disagree.",
    "p: how often chance alone would give so large a difference if there were none. In the groups it is adjusted by "
    "Holm's method for the number of groups, overall it is not adjusted. Bold: p < 0.05 with 0 outside the interval. "
    "A large p does not show that two models are equal.",
    "DeLong's and McNemar's tests take studies as independent, although some patients have several: their p is "
    "too small then, the more so the more studies a patient has. The bootstrap draws whole patients.",
    "Per study; the image level stands in the csv, where the p of these tests is far too small. "
    "Data: evaluate/comparisons.csv.",
]


def differences_table(contents: Contents) -> Table | None:
    """Differences per study with intervals and p-values; None where nothing was compared."""
    frame = _per_study(contents)
    if frame.empty:
        return None
    groups = overall_first(frame["group"])
    return Table(
        key="table-s4",
        number="Table S4",
        caption="Is the difference real? The calibrated ensemble's score minus that of the model in the row.",
        corner="Minus",
        columns=[
            Column(name=formats.group_name(group), detail="not adjusted" if group == OVERALL else "Holm")
            for group in groups
        ],
        blocks=[_block(part, groups) for _, part in frame.groupby(["metric", "test"], sort=False)],
        notes=NOTES,
    )


def sentence(contents: Contents) -> str:
    """How many differences are more than chance; empty where nothing was compared."""
    frame = _per_study(contents)
    if frame.empty:
        return ""
    overall, grouped = frame[frame["group"] == OVERALL], frame[frame["group"] != OVERALL]
    parts = []
    if len(overall):
        parts.append(f"over all groups together {_tally(overall)} have p < 0.05 and an interval without 0")
    if len(grouped):
        parts.append(f"within the groups {_tally(grouped)} remain after Holm's correction")
    what = formats.listing([formats.metric_inside(metric) for metric in dict.fromkeys(frame["metric"])])
    return f"Of the differences between the calibrated ensemble and the other models ({what}), {', and '.join(parts)}."


def _per_study(contents: Contents) -> pd.DataFrame:
    frame = contents.comparisons
    if frame.empty:
        return frame
    of_models = (frame["model"] == CALIBRATED) & ~frame["reference"].map(is_baseline)
    return frame[of_models & (frame["level"] == Level.STUDY)]


def _tally(frame: pd.DataFrame) -> str:
    """``3 of 12``, and how many of them are in the ensemble's disfavour."""
    real = [line for line in frame.to_dict("records") if is_real(line)]
    against = sum(line["difference"] < 0 for line in real)
    tested = sum(not formats.is_missing(_p(line)) for line in frame.to_dict("records"))
    return f"{len(real)} of the {tested} that could be tested" + (
        f" ({against} of these against it)" if against else ""
    )


def _block(part: pd.DataFrame, groups: list[str]) -> Block:
    """One metric: a row per reference model, a cell per group."""
    lines = by_columns(part, "reference", "group")
    metric, test = part["metric"].iloc[0], part["test"].iloc[0]
    rows = [
        Row(name=formats.model_name(model), cells=[_cell(lines.get((model, group), {})) for group in groups])
        for model in dict.fromkeys(part["reference"])
    ]
    return Block(name=f"{formats.metric_name(metric)}, {TESTS.get(test, test)}", rows=rows)


def _cell(line: Line) -> Cell:
    return Cell(
        text=formats.difference(line.get("difference")),
        best=bool(line) and is_real(line),
        detail=formats.interval(line.get("low"), line.get("high")),
        remark=formats.p_value(_p(line)),
    )


def _p(line: Line) -> float | None:
    return line.get("p") if line.get("group") == OVERALL else line.get("p_holm")
