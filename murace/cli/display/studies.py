"""Predictions for new studies on the terminal: one by one where there are few, else by group; and the failures."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from murace.cli.display.tables import plain_table, titled
from murace.errors import DataError

SHOWN = 20  # studies and warnings that are printed; the files have all
NAMED = 5  # problems in one line
Row = Mapping[Any, Any]


def predictions(rows: Sequence[Row]) -> list[RenderableType]:
    """A line for each predicted study, or a table by group where there are many."""
    predicted = [row for row in rows if row["probability"] is not None]
    return [_line(row) for row in predicted] if len(predicted) <= SHOWN else [_by_group(predicted)]


def _line(row: Row) -> str:
    views = row["views"]
    return (
        f"{row['study']}: {row['decision']}, p = {row['probability']:.3f}, calibrated "
        f"{row['probability_calibrated']:.3f} ({row['group']} by {row['group_source']}, {row['learner']}, "
        f"{views} view{'s' if views > 1 else ''})"
    )


def _by_group(rows: Sequence[Row]) -> RenderableType:
    found = defaultdict(list)
    for row in rows:
        found[row["group"], row["learner"]].append(row)
    table = plain_table()
    for name in ("group", "learner", "studies", "abnormal", "group known by"):
        table.add_column(name, justify="right" if name in ("studies", "abnormal") else "left", overflow="fold")
    for (group, learner), items in sorted(found.items()):
        sources = Counter(row["group_source"] for row in items).most_common()
        known_by = ", ".join(f"{source} {count:,}" for source, count in sources)
        abnormal = sum(row["decision"] == "abnormal" for row in items)
        table.add_row(group, learner, f"{len(items):,}", f"{abnormal:,}", known_by)
    return titled(f"{len(rows):,} studies", table)


def warnings(rows: Sequence[Row]) -> list[str]:
    """What is to be said about studies: how they were put together and shown, and doubts of the group."""
    found = [f"{row['study']}: {row['warning']}" for row in rows if row["warning"]]
    return [
        *found[:SHOWN],
        *([f"{len(found) - SHOWN} more studies have a warning"] if len(found) > SHOWN else []),
    ]


def problems(rows: Sequence[Row], views: Sequence[Row], *, places: Sequence[Path]) -> DataError | None:
    """The error about studies without a prediction and files that could not be read; None where there are none."""
    unanswered = [f"{row['study']}: {row['problem']}" for row in rows if row["problem"]]
    unreadable = [f"{row['view']}: {row['problem']}" for row in views if row["problem"]]
    if not unanswered and not unreadable:
        return None
    listed = [*unreadable, *unanswered]
    more = f"; and {len(listed) - NAMED} more in {' and '.join(map(str, places))}" if len(listed) > NAMED else ""
    return DataError(
        f"{len(unanswered)} of {len(rows)} studies have no answer, {len(unreadable)} files could not be read: "
        f"{'; '.join(listed[:NAMED])}{more}"
    )
