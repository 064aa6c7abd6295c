"""What a step's folder amounts to, and whether a child may build on it."""

from enum import StrEnum
from pathlib import Path

from murace.errors import WorkspaceError
from murace.record.note import Record, begun, damaged, read

NESTED = ("train", "finetune")  # steps with a folder for each learner or group


class State(StrEnum):
    """What a step's folder amounts to."""

    MISSING = "missing"
    PARTIAL = "partial"
    STALE = "stale"
    DAMAGED = "damaged"
    DONE = "done"


def examine(folder: Path) -> tuple[State, list[str]]:
    """The state of a step's folder with reasons, without reading its large files."""
    if begun(folder) is not None:
        return State.PARTIAL, ["a run was interrupted"]
    record = read(folder)
    if record is None:
        return State.MISSING, []
    reasons = [
        f"{name} is missing" if not (folder / name).is_file() else f"{name} has another size"
        for name, entry in record.produced.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != entry["size"]
    ]
    if reasons:
        return State.DAMAGED, reasons
    reasons = _outdated(folder.parents[record.step in NESTED], record)
    return (State.STALE, reasons) if reasons else (State.DONE, [])


def _outdated(root: Path, record: Record) -> list[str]:
    """Which consumed artifacts are no longer what stands in the workspace, parents of parents included."""
    reasons: list[str] = []
    parents: dict[Path, tuple[Record | None, tuple[State, list[str]]]] = {}
    for name, digest in record.consumed.items():
        if name.count("/") == 0:
            continue  # the source: only `prepare` can look at it
        folder = (root / name).parent
        if folder not in parents:
            parents[folder] = (read(folder), examine(folder))
        parent, (state, why) = parents[folder]
        now = parent.digests(folder.relative_to(root).as_posix()).get(name) if parent else None
        if now != digest:
            reasons.append(f"{name} has changed" if now else f"{name} is gone")
        elif state is State.STALE:
            reasons.append(f"{name} is stale itself: {why[0]}")
    return list(dict.fromkeys(reasons))


def require(folder: Path, mend: str, names: tuple[str, ...] | None = None) -> Record:
    """The record of a parent step, checked: complete, built on what is there now, and `names` (default: all) intact.

    Raises:
        WorkspaceError: it is missing, unfinished, stale or damaged; the message ends with `mend`, the command to run.
    """
    state, reasons = examine(folder)
    if state is not State.DONE:
        why = f" ({'; '.join(reasons)})" if reasons else ""
        adjective = "unfinished" if state is State.PARTIAL else state
        raise WorkspaceError(f"{_name(folder)} is {adjective}{why}. Run: {mend}")
    record = read(folder)
    assert record is not None
    damage = damaged(folder, record, names)
    if damage:
        # A file that rotted in place has the size and time that it had: its own step would see nothing to do.
        force = "" if damaged(folder, record, names, trusts_times=True) else " --force"
        raise WorkspaceError(f"{_name(folder)} is damaged: {'; '.join(damage)}. Run: {mend}{force}")
    return record


def _name(folder: Path) -> str:
    """A step's folder in a message: `train/resnet in WORKSPACE` where it is one of several."""
    is_nested = folder.parent.name in NESTED and (folder.parents[1] / "prepare").is_dir()
    root = folder.parents[is_nested]
    return f"{folder.relative_to(root).as_posix()} in {root}"
