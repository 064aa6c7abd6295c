"""Result tables for the terminal."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from murace.vocabulary import BASELINE, OVERALL, Metric

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = "-"


def _table() -> Table:
    """Narrow enough for five models in 80 columns."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def titled(title: str, table: Table) -> Group:
    """A table under its title; rich's own title would be folded to the width of a narrow table."""
    return Group(Text(f"\n{title}", style="italic"), table)


def counts_table(counts: "pd.DataFrame") -> Group:
    """Table 1: images by group, split and class."""
    table = _table()
    table.add_column("group", overflow="fold")
    splits = ("train", "validation", "test")
    for split in splits:
        table.add_column(f"{split}\nabnormal", justify="right")
        table.add_column(f"{split}\nnormal", justify="right")
    for row in counts.to_dict("records"):
        numbers = [f"{int(row[f'{split}_{side}']):,}" for split in splits for side in ("positive", "negative")]
        is_total = row["group"] == OVERALL
        table.add_row(str(row["group"]), *numbers, style="bold" if is_total else None)
    return titled("Images (Table 1)", table)


def scores_table(
    scores: "pd.DataFrame", models: Sequence[str], *, title: str, metrics: Sequence[str] = tuple(Metric)
) -> Group:
    """Scores with a row per metric and group and a column per model; the best in bold, the change over convnet beside.

    Args:
        scores: columns model, group, metric, value and, where there is a baseline, change; one level.
        models: the columns, in order.
        title: the table's.
        metrics: the blocks of rows, in order.
    """
    table = _table()
    table.add_column("metric", no_wrap=True)
    table.add_column("group", overflow="fold")
    for model in models:
        table.add_column(model.replace("+", "+\n"), justify="right", no_wrap=True)
    groups = list(dict.fromkeys(scores["group"]))
    room = 6 if "change" in scores else 0
    cells = {(row["metric"], row["group"], row["model"]): row for row in scores.to_dict("records")}
    for metric in metrics:
        for position, group in enumerate(groups):
            row = [cells[metric, group, model] for model in models]
            best = max((item["value"] for item in row if not math.isnan(item["value"])), default=None)
            shown = [_cell(item, is_best=len(models) > 1 and item["value"] == best, room=room) for item in row]
            last = position == len(groups) - 1
            table.add_row(metric if not position else "", group, *shown, end_section=last)
    return titled(title, table)


def _cell(item: Mapping[Any, Any], *, is_best: bool, room: int) -> Text:
    """`0.912`, and `+5%` in the room beside it where there is a change to tell."""
    value, change = item["value"], item.get("change", math.nan)
    text = Text(UNDEFINED if math.isnan(value) else f"{value:.3f}", style="bold" if is_best else "")
    if item["model"] != BASELINE:
        is_silent = math.isnan(value) or math.isnan(change)
        text.append(f"{'' if is_silent else f'{change:+.0%}':>{room}}", style="dim not bold")
    return text


def roster_table(roster: Mapping[str, Any]) -> Group:
    """Who serves which group, by how many votes."""
    table = _table()
    for name in ("group", "learner", "votes", "remark"):
        table.add_column(name)
    for group, entry in roster["groups"].items():
        votes = ", ".join(f"{learner} {count}" for learner, count in entry["votes"].items() if count)
        table.add_row(group, Text(entry["learner"], style="bold"), votes or UNDEFINED, remark(entry))
    return titled("Designated learners (Table 5)", table)


def remark(entry: Mapping[str, Any]) -> str:
    """What must be said about a choice: a tie, a shared top, or no vote at all."""
    if not any(entry["votes"].values()):
        return "no validation score is defined: the best learner overall"
    shared = f"shared top in {', '.join(entry['shared'])}" if entry["shared"] else ""
    if entry["tie"]:
        return f"tie, settled by mean rank{'; ' + shared if shared else ''}"
    return shared
