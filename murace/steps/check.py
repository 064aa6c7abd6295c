"""Measure on the test images with boxes whether the members' maps point at what is abnormal."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from murace.config import Bootstrap, Machine
from murace.data.store import read_index
from murace.data.tables.boxes import Matched, match, read_boxes
from murace.errors import DataError
from murace.explain.cam import MapMethod
from murace.explain.pointing import boxed_images, check
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.system import device
from murace.system.progress import Reporter
from murace.workspace.paths import Workspace

MEANING = {"flat": "they count as pointing blindly", "not finite": "they count as pointing nowhere"}


@dataclass(frozen=True)
class Pointed:
    """The table (`murace.explain.pointing.COLUMNS`), how many images it is about, and what to say with it."""

    table: pd.DataFrame
    thresholds: dict[str, float]
    images: int
    notes: tuple[str, ...]
    caveats: tuple[str, ...]
    bad: tuple[str, ...]


def run(
    workspace: Workspace,
    boxes: Path,
    *,
    map_method: MapMethod,
    bootstrap: Bootstrap,
    machine: Machine,
    reporter: Reporter,
) -> Pointed:
    """Check the maps of every group that has test images among the boxes; nothing is written.

    Raises:
        UsageError: a member has no such maps.
        MachineError, WorkspaceError: see their classes.
        DataError: the csv is no list of boxes, or none is of a test image.
        Interrupted: a signal asked to stop.
    """
    chosen, remark = device.choose(machine)
    ensemble = WorkspaceEnsemble(workspace, chosen, reporter)
    matched = match(read_boxes(boxes), read_index(workspace.prepare.index))
    if not matched.images:
        raise DataError(
            f"{boxes} has no box of a test image of this workspace ({_left_out(matched)}); the csv lies in the folder "
            "that was prepared, and its paths begin there"
        )
    if remark:
        remark.tell(reporter)
    threads = device.set_threads(machine)
    members = {group: ensemble.member(group) for group in sorted(set(matched.boxes["group"]))}
    follow_links = bool(ensemble.prepared.params.get("follow_links"))
    images = boxed_images(matched.boxes, boxes.parent, follow_links=follow_links)
    found = check(images, members, map_method=map_method, bootstrap=bootstrap, threads=threads, reporter=reporter)
    flawed = (f"{count} maps are {fault}: {MEANING[fault]}" for fault, count in found.flawed.items())
    return Pointed(
        found.table,
        found.thresholds,
        matched.images - len(found.bad),
        (f"boxes of {matched.images:,} test images; {_left_out(matched)}", *flawed),
        ensemble.caveats,
        tuple(f"{path}: {why}" for path, why in found.bad),
    )


def _left_out(matched: Matched) -> str:
    return (
        f"left out: {matched.elsewhere:,} images of training or validation, "
        f"{matched.unknown:,} that the workspace does not have"
    )
