"""Section baselines: what is known without looking at a picture, beside what the models know."""

from collections.abc import Sequence

from murace.metrics.baselines import column_of, in_words, no_better
from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.sections.comparison import overall_first
from murace.report.text import formats
from murace.report.text.grid import Block, Cell, Column, Row, Table, by_columns, score_cell
from murace.vocabulary import OVERALL, Level, Metric

NOTES = [
    "Baselines are logistic regressions on what stands beside the pictures: the group, the number of views, the "
    "pictures' size, and the slices that were named. They are fitted on the labels of training and validation.",
    "Below a difference its 95% interval by the paired bootstrap over patients. Bold: it lies above 0. Where it does "
    "not, the model is not shown to know more than the baseline.",
    "Data: evaluate/baselines.csv, comparisons.csv.",
]


def baselines_table(contents: Contents) -> Table | None:
    """The AUC of the baselines per study, and how much higher that of each model is; None without baselines."""
    frame = contents.baselines
    if frame.empty:
        return None
    frame = frame[(frame["level"] == Level.STUDY) & (frame["metric"] == Metric.AUC)]
    groups, names = overall_first(frame["group"]), list(dict.fromkeys(frame["features"]))
    lines = by_columns(frame, "features", "group")
    alone = [Row(name=name, cells=[score_cell(lines.get((name, group), {})) for group in groups]) for name in names]
    return Table(
        key="table-s8",
        number="Table S8",
        caption="What is known without looking at a picture: the AUC per study, and how much higher each model's is.",
        corner="Known",
        columns=[
            Column(name=formats.group_name(group), detail=support.sizes(contents, Level.STUDY).get(group, ""))
            for group in groups
        ],
        blocks=[
            Block(name="AUC of the baselines", rows=alone),
            *(_differences(contents, name, groups) for name in names[1:]),
        ],
        notes=NOTES,
    )


def sentence(contents: Contents) -> str:
    """Which models are not better than the baselines, or how good those are; empty without baselines."""
    if contents.baselines.empty:
        return ""
    worse = no_better(contents.comparisons)
    told = [
        f"Not better than knowing the group ({in_words(name)}): "
        f"{formats.listing([formats.model_name(model) for model in models])}."
        for name, models in worse.items()
        if models
    ]
    return " ".join([*told, known(contents)])


def known(contents: Contents) -> str:
    """The AUC of each baseline beyond the group alone, as a sentence."""
    frame = contents.baselines
    frame = frame[(frame["level"] == Level.STUDY) & (frame["metric"] == Metric.AUC) & (frame["group"] == OVERALL)]
    parts = []
    for line in frame.to_dict("records")[1:]:
        interval = formats.interval(line["low"], line["high"])
        value = formats.score(line["value"]) + (f" ({interval})" if interval else "")
        parts.append(f"{value} by {in_words(line['features'])}")
    return f"Without looking at a picture, the AUC is {formats.listing(parts)}." if parts else ""


def _differences(contents: Contents, name: str, groups: Sequence[str]) -> Block:
    """The models' AUC minus a baseline's."""
    frame = contents.comparisons
    part = frame[(frame["level"] == Level.STUDY) & (frame["reference"] == column_of(name)) & (frame["metric"] == "auc")]
    lines = by_columns(part, "model", "group")
    rows = []
    for model in dict.fromkeys(part["model"]):
        found = [lines.get((model, group), {}) for group in groups]
        cells = [
            Cell(
                text=formats.difference(line.get("difference")),
                best=bool(line) and line["low"] > 0,
                detail=formats.interval(line.get("low"), line.get("high")),
            )
            for line in found
        ]
        rows.append(Row(name=formats.model_name(model), cells=cells))
    return Block(name=f"AUC minus that of {name}", rows=rows)
