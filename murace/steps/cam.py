"""Read studies with the roster's members and draw where they look."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from murace import device
from murace.cam import NO_MAP
from murace.chain import CALIBRATE, PREPARE, finetune_command
from murace.config import Machine
from murace.data.studies import gather
from murace.errors import DataError, UsageError
from murace.files import read_json
from murace.overlays import Member, draw_all, refuse_foreign
from murace.record import Record, require
from murace.watch import Watch
from murace.workspace import Workspace


@dataclass(frozen=True)
class Reading:
    """One study's answer; `content` is what `study.json` holds."""

    folder: Path
    skipped: bool
    content: dict[str, Any]


def run(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    out: Path,
    group: str | None,
    machine: Machine,
    watch: Watch,
    force: bool = False,
) -> list[Reading]:
    """Draw every view of every study in `paths` (study folders, or image files).

    Raises:
        UsageError: a group is neither given nor in the path, or unknown; the nets have no map; or a file that is not
            `cam`'s would be overwritten. Nothing is drawn then.
        WorkspaceError: a member is missing, stale or damaged.
        DataError: a path or a view cannot be read; all are named, and the other studies are drawn.
        Interrupted: the watch says so; studies that are finished stay.
    """
    chosen, remark = device.choose(machine)
    prepared = require(workspace.prepare.folder, PREPARE, ("index.csv",))
    require(workspace.calibrate.folder, CALIBRATE, ("roster.json",))
    roster = read_json(workspace.calibrate.roster)["groups"]
    studies = gather(paths, out=out, group=group, known=sorted(roster))
    records = {
        name: require(workspace.finetune(name).folder, finetune_command(name), ("model.safetensors",))
        for name in sorted({study.group for study in studies})
    }
    flat = [name for name, record in records.items() if record.params["head"] != "gap"]
    if flat:
        raise UsageError(f"{NO_MAP}: the member for {', '.join(flat)} has none")
    for study in studies:
        refuse_foreign(study)
    if remark:
        watch.say(remark)
    fit = str(prepared.params["fit"])
    members = {name: _member(workspace.finetune(name).model, record, chosen, fit) for name, record in records.items()}
    drawn = draw_all(studies, members, force=force, threads=device.set_threads(machine), watch=watch)
    if drawn.bad:
        problems = "; ".join(str(drawn.bad[number]) for number in sorted(drawn.bad))
        raise DataError(f"{len(drawn.bad)} of {len(studies)} studies could not be read: {problems}")
    return [
        Reading(study.folder, skipped=number in drawn.before, content=drawn.records[number])
        for number, study in enumerate(studies)
    ]


def _member(weights: Path, record: Record, chosen: torch.device, fit: str) -> Member:
    return Member(
        learner=str(record.params["learner"]),
        weights=weights,
        weights_sha256=record.produced[weights.name]["sha256"],
        place=device.Place(chosen, record.info["precision"]),
        size=int(record.params["size"]),
        fit=fit,
    )
