"""Complete a run: make sure that what it consumed has not changed, remove leftovers, and write `step.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from murace.errors import WorkspaceError
from murace.workspace.record import Record, begun, complete, damaged, read, read_sound


def commit(
    folder: Path,
    names: list[str],
    *,
    device: str = "cpu",
    info: Mapping[str, Any] | None = None,
    parts: Mapping[str, str] | None = None,
) -> Record:
    """Write `step.json`, last: the run that `begin` recorded is complete and produced `names` (and `parts` of them).

    What an earlier run produced and this one did not is removed: nothing in the folder is older than its record.

    Raises:
        WorkspaceError: something that was consumed has been replaced while the run used it.
    """
    unfinished = begun(folder)
    assert unfinished is not None, "commit without begin"
    changed = _replaced(folder.parents[unfinished.step.count("/")], unfinished)
    if changed:
        raise WorkspaceError(
            f"{', '.join(changed)} changed while {unfinished.step} was at work: its result belongs to neither version. "
            "Run the same command again, with --fresh"
        )
    for name in _left_over(folder, names):
        (folder / name).unlink(missing_ok=True)
    return complete(folder, unfinished, names, device=device, info=dict(info or {}), parts=dict(parts or {}))


def _replaced(root: Path, unfinished: Record) -> list[str]:
    """Which consumed files are no longer those whose digests were taken when the run began."""
    found = []
    for name, digest in unfinished.consumed.items():
        if "/" not in name:
            continue  # the source, and what has no folder here
        folder = (root / name).parent
        record, file = read(folder), Path(name).name
        now = record.digests(record.step).get(name) if record else None
        if now != digest or (record and file in record.produced and damaged(folder, record, (file,), trusts_from=0)):
            found.append(name)
    return found


def _left_over(folder: Path, names: list[str]) -> list[str]:
    """What the last finished run produced and this one did not; nothing where its record cannot be read."""
    before = read_sound(folder)
    named = before.produced if before else {}
    return [name for name in named if name not in names and not name.startswith("/") and ".." not in name]
