"""Result tables for the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from murace.cli.display.columns import Column, Columns, heading, words
from murace.vocabulary import OVERALL, Metric

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = "-"


def plain_table() -> Table:
    """Narrow enough for five models in 80 columns."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def titled(title: str, table: Table) -> Group:
    """A table under its title; rich's own title would be folded to the width of a narrow table."""
    return Group(Text(f"\n{title}", style="italic"), table)


def counts_table(counts: "pd.DataFrame") -> Group:
    """Table 1: images by group, split and class."""
    table = plain_table()
    table.add_column("group", overflow="fold")
    splits = ("train", "validation", "test")
    for split in splits:
        table.add_column(f"{split}\nabnormal", justify="right")
        table.add_column(f"{split}\nnormal", justify="right")
    dropped = [name for name in (f"{split}_dropped" for split in splits) if name in counts]
    if dropped:
        table.add_column("dropped", justify="right")
    for row in counts.to_dict("records"):
        numbers = [f"{int(row[f'{split}_{side}']):,}" for split in splits for side in ("positive", "negative")]
        if dropped:
            numbers.append(f"{sum(int(row[name]) for name in dropped):,}")
        is_total = row["group"] == OVERALL
        table.add_row(str(row["group"]), *numbers, style="bold" if is_total else None)
    return titled("Images (Table 1)", table)


def scores_table(
    scores: "pd.DataFrame", models: Sequence[str], *, title: str, metrics: Sequence[str] = tuple(Metric)
) -> Columns:
    """Scores with a row per metric and group and a column per model; the best in bold, its 95 % interval beside it.

    Five models fit 100 columns with intervals and 80 without.

    Args:
        scores: columns model, group, metric, value and, where they are known, low and high; one level.
        models: the columns, in order.
        title: the table's.
        metrics: the blocks of rows, in order.
    """
    groups = list(dict.fromkeys(scores["group"]))
    cells = {(row["metric"], row["group"], row["model"]): row for row in scores.to_dict("records")}
    rows = [(metric, group) for metric in metrics for group in groups]
    best = {row: _best([cells[*row, model]["value"] for model in models]) for row in rows}
    names = [metric if group == groups[0] else "" for metric, group in rows]
    return Columns(
        title=title,
        words=[
            Column(heading=Text("metric"), cells=[words(name) for name in names]),
            Column(heading=Text("group"), cells=[words(group) for _, group in rows]),
        ],
        numbers=[
            Column(
                heading=heading(model),
                cells=_cells([cells[*row, model] for row in rows], [best[row] for row in rows]),
                aligned="low" in scores,
            )
            for model in models
        ],
        sections=range(len(groups) - 1, len(rows), len(groups)) if len(groups) > 1 else (),
    )


def _best(values: Sequence[float]) -> float:
    """The highest of several models' values; undefined for one model, which beats nobody."""
    return max((value for value in values if not math.isnan(value)), default=math.nan) if len(values) > 1 else math.nan


def _cells(items: Sequence[Mapping[Any, Any]], best: Sequence[float]) -> list[Text]:
    """`0.912 .87-.95`: the values of a model, each with its interval where it has one, one below the other."""
    bounds = [_bounds(item) for item in items]
    values = [UNDEFINED if math.isnan(item["value"]) else f"{item['value']:.3f}" for item in items]
    wide, room = max(map(len, values)), max(map(len, bounds))
    shown = []
    for item, value, bound, top in zip(items, values, bounds, best, strict=True):
        text = Text(" " * (wide - len(value)))
        text.append(value, style="bold" if item["value"] == top else "")
        shown.append(text.append(f" {bound:<{room}}" if room else "", style="dim not bold"))
    return shown


def _bounds(item: Mapping[Any, Any]) -> str:
    low, high = (item.get(name, math.nan) for name in ("low", "high"))
    if any(map(math.isnan, (item["value"], low, high))) or low == high:
        return ""  # where every resample agrees, there is nothing to tell how sure the value is
    return f"{_short(low)}-{_short(high)}"


def _short(value: float) -> str:
    """`.87`, `-.05`, `1.0`."""
    text = f"{value:.2f}"
    return text[:-1] if abs(float(text)) == 1 else text.replace("0.", ".", 1)


def roster_table(roster: Mapping[str, Any]) -> Group:
    """Who serves which group, by how many votes, and how often other patients would have chosen so."""
    table = plain_table()
    for name in ("group", "learner", "votes", "stability", "remark"):
        table.add_column(name, justify="right" if name == "stability" else "left")
    for group, entry in roster["groups"].items():
        votes = ", ".join(f"{learner} {count}" for learner, count in entry["votes"].items() if count)
        share = entry["stability"].get(entry["learner"])
        stable = UNDEFINED if share is None else f"{math.floor(100 * share + 1e-9)}%"  # 59.9 % is no 60 %
        table.add_row(group, Text(entry["learner"], style="bold"), votes or UNDEFINED, stable, remark(entry))
    title = f"Designated learners (Table 5); stability over {roster['resamples']:,} resamples of the patients"
    return titled(title, table)


def remark(entry: Mapping[str, Any]) -> str:
    """What must be said about a choice: a near-tie, a tie, a shared top, or no vote at all."""
    if not any(entry["votes"].values()):
        return "no validation score is defined: the best learner overall"
    return "; ".join(
        said
        for said, applies in (
            ("near-tie", entry["near_tie"]),
            ("tie, settled by mean rank", entry["tie"]),
            (f"shared top in {', '.join(entry['shared'])}", entry["shared"]),
        )
        if applies
    )
