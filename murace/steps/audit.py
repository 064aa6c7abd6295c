"""Search the prepared radiographs for duplicates, contradictory labels and odd images, for a person to look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from murace.data.audit import findings as audit
from murace.data.store import open_pixels, read_frame, read_index, write_frame
from murace.errors import WorkspaceError
from murace.report.drawing.contact import draw_sheet
from murace.system.files import PRIVATE, write_bytes
from murace.system.progress import Reporter
from murace.vocabulary import Split
from murace.workspace import Record, Rerun, StepRun, commit, decide, read, writing
from murace.workspace.chain import require_pixels, require_step
from murace.workspace.commands import command
from murace.workspace.paths import FINGERPRINTS, INDEX, PIXELS, Workspace

CONSUMED = (INDEX, FINGERPRINTS, PIXELS)
TEXTS = ("rows", "detail", "splits", "labels")


@dataclass(frozen=True)
class Audited:
    """What was found: `findings` as in `findings.csv`, `counts` of every kind, zeros too, and the contact sheet.

    `dropped`: how many images `prepare --leaks` left out.
    """

    skipped: bool
    findings: pd.DataFrame
    counts: dict[str, int]
    dropped: int
    sheet: Path
    synthetic: bool
    patient_level: bool


def run(workspace: Workspace, *, rerun: Rerun, reporter: Reporter) -> Audited:
    """Run every check of `murace.data.audit.findings`, unless that has been done and nothing has changed.

    An interrupted run starts over: it is short. Nothing that is found is an error; what must stop has stopped
    `prepare`.

    Raises:
        WorkspaceError, MachineError, Interrupted: see their classes.
    """
    prepared = _prepared(workspace)
    folder = workspace.audit
    with writing(folder.folder):
        consumed = {f"prepare/{name}": prepared.produced[name]["sha256"] for name in CONSUMED}
        plan = decide(StepRun(folder=folder.folder, step="audit", params={}, consumed=consumed), rerun)
        if not plan.skips:
            require_pixels(workspace)
            plan.begin(reporter)
            info = _search(workspace, prepared, reporter)
            commit(folder.folder, [folder.findings.name, folder.sheet.name], info=info)
        findings, record = read_frame(folder.findings, texts=TEXTS).astype({"distance": "Int64"}), read(folder.folder)
        assert record is not None
    return Audited(
        skipped=plan.skips,
        findings=findings,
        counts=record.info["counts"],
        dropped=sum(int(prepared.info.get("dropped", {}).get(split, 0)) for split in Split),
        sheet=folder.sheet,
        synthetic=bool(prepared.info["synthetic"]),
        patient_level=bool(prepared.info["patient_level"]),
    )


def _prepared(workspace: Workspace) -> Record:
    """The record of `prepare`, its tables checked.

    Raises:
        WorkspaceError: it is missing, unfinished, damaged, or of a murace that kept no fingerprints.
    """
    record = require_step(workspace, "prepare", (INDEX,))
    if FINGERPRINTS not in record.produced:
        raise WorkspaceError(
            f"prepare in {workspace.root} is of an older murace, which kept no fingerprints of the images. "
            f"Run: {command(workspace, 'prepare')} --force"
        )
    return require_step(workspace, "prepare", (FINGERPRINTS,))


def _search(workspace: Workspace, prepared: Record, reporter: Reporter) -> dict[str, Any]:
    """Write the findings and their contact sheet; returns the record's `info`."""
    folder = workspace.prepare
    index, pixels = read_index(folder.index), open_pixels(folder.pixels)
    fingerprints = read_frame(folder.fingerprints, texts=("pixels", "phash", "remark")).fillna({"remark": ""})
    findings = audit.find(index, fingerprints, pixels, fit=str(prepared.params["fit"]), reporter=reporter)
    write_frame(workspace.audit.findings, findings)
    sheet = draw_sheet(findings, index, pixels, synthetic=bool(prepared.info["synthetic"]))
    write_bytes(workspace.audit.sheet, sheet, mode=PRIVATE)  # a picture may have a name burned in
    counts = audit.count(findings, int(prepared.info["findings"][audit.AuditFinding.EMPTY]))
    return {"images": len(index), "counts": counts}
