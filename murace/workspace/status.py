"""The state of a step (missing, unfinished, stale, damaged or done), and the check that a later step makes of it."""

from enum import StrEnum
from pathlib import Path

from murace.errors import WorkspaceError
from murace.workspace.decision import LARGE
from murace.workspace.record import Record, begun, damaged, read

NESTED = ("train", "finetune")  # steps with a folder for each learner or group


class State(StrEnum):
    """The state of a step's folder."""

    MISSING = "missing"
    PARTIAL = "partial"
    STALE = "stale"
    DAMAGED = "damaged"
    DONE = "done"


def examine(folder: Path) -> tuple[State, list[str]]:
    """The state of a step's folder with reasons; files whose size and time are the recorded ones are not read.

    Raises:
        WorkspaceError: its own record cannot be read.
    """
    if begun(folder) is not None:
        return State.PARTIAL, ["a run was interrupted"]
    record = read(folder)
    if record is None:
        return State.MISSING, []
    stray = _stray(folder, record)
    if stray:
        return State.DAMAGED, [stray]
    damage = damaged(folder, record, trusts_from=0)
    if damage:
        return State.DAMAGED, damage
    reasons = outdated(_root(folder, record), record)
    return (State.STALE, reasons) if reasons else (State.DONE, [])


def outdated(root: Path, record: Record) -> list[str]:
    """Which consumed files are no longer those of the earlier steps' records, and of the steps before those."""
    reasons: list[str] = []
    parents: dict[Path, tuple[dict[str, str], list[str]]] = {}
    for name, digest in record.consumed.items():
        if name.count("/") == 0:
            continue  # the source: only `prepare` can look at it
        folder = (root / name).parent
        if folder not in parents:
            parents[folder] = _offered(root, folder)
        digests, why = parents[folder]
        now = digests.get(name)
        if now != digest:
            reasons.append(f"{name} has changed" if now else f"{name} is gone{''.join(f' ({line})' for line in why)}")
        elif why:
            reasons.append(f"{name} is stale itself: {why[0]}")
    return list(dict.fromkeys(reasons))


def _offered(root: Path, folder: Path) -> tuple[dict[str, str], list[str]]:
    """The digests of an earlier step's record, and why that is itself outdated; empty where there is no record."""
    try:
        record = read(folder)
    except WorkspaceError:
        return {}, ["its record is damaged"]
    if record is None:
        return {}, []
    stray = _stray(folder, record)
    if stray:
        return {}, [stray]
    return record.digests(record.step), outdated(root, record)


def _stray(folder: Path, record: Record) -> str:
    """In words, that a folder was made for another place: two learners' may have been exchanged; else nothing."""
    place = record.step.split("/")
    return "" if list(folder.parts[-len(place) :]) == place else f"it holds the files of {record.step}"


def _root(folder: Path, record: Record) -> Path:
    return folder.parents[record.step.count("/")]


def require(folder: Path, command: str, names: tuple[str, ...] | None = None) -> Record:
    """The record of an earlier step, checked: complete, not stale, and its files `names` (default: all) intact.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged; the message ends with `command`, which makes it so.
    """
    try:
        state, reasons = examine(folder)
    except WorkspaceError as error:
        raise WorkspaceError(f"{_name(folder)} is damaged ({error}). Run: {command} --fresh") from error
    if state is not State.DONE:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        adjective = "unfinished" if state is State.PARTIAL else state
        raise WorkspaceError(f"{_name(folder)} is {adjective}{why}. Run: {command}")
    record = read(folder)
    assert record is not None
    damage = damaged(folder, record, names)
    if damage:
        # A large file that rotted in place has the size and time that it had: its own step would see nothing to do.
        force = "" if damaged(folder, record, names, trusts_from=LARGE) else " --force"
        raise WorkspaceError(f"{_name(folder)} is damaged: {'; '.join(damage)}. Run: {command}{force}")
    return record


def _name(folder: Path) -> str:
    """A step's folder in a message: `train/resnet in WORKSPACE` where it is one of several."""
    is_nested = folder.parent.name in NESTED and (folder.parents[1] / "prepare").is_dir()
    root = folder.parents[is_nested]
    return f"{folder.relative_to(root).as_posix()} in {root}"
