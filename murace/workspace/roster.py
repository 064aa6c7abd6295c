"""Read the roster: which learner serves which group. Its names become paths, so they are checked."""

from pathlib import Path
from typing import Any

from murace.errors import WorkspaceError
from murace.system.files import read_json
from murace.vocabulary import LEARNERS, Level, Metric, is_group


def read_roster(path: Path) -> dict[str, Any]:
    """The content of `roster.json`: `metrics`, `level`, and `groups`, which maps a group to its learner and votes.

    Raises:
        WorkspaceError: it is not what `calibrate` writes.
    """
    values = read_json(path)
    if not _is_sound(values):
        raise WorkspaceError(
            f"{path} is damaged: it is no roster of groups and learners. Run: murace calibrate --fresh"
        )
    roster: dict[str, Any] = values
    return roster


def _is_sound(values: Any) -> bool:
    if not isinstance(values, dict) or not isinstance(values.get("groups"), dict) or not values["groups"]:
        return False
    metrics = values.get("metrics")
    is_named = isinstance(metrics, list) and all(name in tuple(Metric) for name in metrics)
    is_named = is_named and values.get("level") in tuple(Level)
    return is_named and all(is_group(group) and _is_choice(choice) for group, choice in values["groups"].items())


def _is_choice(choice: Any) -> bool:
    if not isinstance(choice, dict) or choice.get("learner") not in LEARNERS or not isinstance(choice.get("tie"), bool):
        return False
    votes, shares = choice.get("votes"), choice.get("stability", {})
    tables = [table for table in (votes, shares) if isinstance(table, dict) and set(table) <= set(LEARNERS)]
    return len(tables) == 2 and all(type(number) in (int, float) for table in tables for number in table.values())
