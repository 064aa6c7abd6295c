"""Export the ensemble: one file that murace opens without a workspace, and ONNX graphs for programs without murace."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from murace import __version__
from murace.config import Machine
from murace.data.store import open_pixels, read_index
from murace.errors import UsageError, WorkspaceError
from murace.inference import operating_points as operating
from murace.inference.bundle.manifest import (
    CARD,
    OPERATING,
    RECOGNISER,
    ROSTER,
    Data,
    File,
    Manifest,
    Net,
    names_of,
    weights_of,
    weights_of_learner,
)
from murace.inference.bundle.open import is_bundle, open_bundle
from murace.inference.bundle.write import write_bundle
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.nets.trained import Bytes
from murace.steps.export.onnx_folder import Converted, OnnxEnsemble, convert_all, refuse_foreign
from murace.steps.export.onnx_graph import require_packages
from murace.system import device
from murace.system.files import sha256, sweep_beside
from murace.system.progress import Reporter
from murace.vocabulary import CALIBRATED, Split
from murace.workspace import Record, paths
from murace.workspace.chain import require_evaluation, require_step
from murace.workspace.paths import Workspace

SUFFIX = ".murace"
COMPARED = 64  # images of a group, at most
Sources = dict[str, bytes | Path]


@dataclass(frozen=True)
class Packed:
    """The one file: its size in bytes and the SHA-256 of all of it, for whoever receives it to compare."""

    path: Path
    skipped: bool
    size: int
    sha256: str
    manifest: Manifest


def run(
    workspace: Workspace, file: Path | None, onnx: Path | None, *, machine: Machine, reporter: Reporter
) -> tuple[Packed | None, Converted | None]:
    """Write the ensemble that `evaluate` has measured into `file`, as ONNX into the folder `onnx`, or both.

    Returns what was written there, or found to be up to date; None for what is not named.

    Raises:
        UsageError: neither is named, or something that is not of `export` would be overwritten.
        MachineError: the extra for ONNX is missing, a graph answers otherwise than its net, or the disk is full.
        WorkspaceError: a step is missing, unfinished, stale or damaged; the message ends with the command to run.
        Interrupted: a signal came between two members.
    """
    _check_names(file, onnx)
    if onnx is not None:
        require_packages()
    device.set_threads(machine)
    ensemble = _require_ensemble(workspace)
    packed = None if file is None else _pack(file, workspace, ensemble)
    converted = None if onnx is None else convert_all(onnx, _onnx_ensemble(workspace, ensemble), reporter=reporter)
    return packed, converted


def _check_names(file: Path | None, onnx: Path | None) -> None:
    if file is None and onnx is None:
        raise UsageError("name a FILE.murace to write, or --onnx DIR, or both")
    if file is not None and file.suffix != SUFFIX:
        raise UsageError(f"{file} must end in {SUFFIX}")
    if file is not None and file.exists() and not is_bundle(file):
        raise UsageError(f"{file} exists and is not of murace export; name another file")
    if onnx is not None:
        refuse_foreign(onnx)


def _require_ensemble(workspace: Workspace) -> WorkspaceEnsemble:
    """The ensemble, once every step is complete and current; else the first step that is not is refused."""
    ensemble = WorkspaceEnsemble(workspace, torch.device("cpu"))
    for group in ensemble.groups:
        ensemble.member(group)
    require_evaluation(workspace, (paths.OPERATING, paths.CARD))
    return ensemble


def _pack(file: Path, workspace: Workspace, ensemble: WorkspaceEnsemble) -> Packed:
    manifest, sources = _content(workspace, ensemble)
    sweep_beside(file)
    skipped = _is_current(file, manifest)
    if not skipped:
        write_bundle(file, manifest, sources)
    return Packed(file, skipped, file.stat().st_size, sha256(file), manifest)


def _is_current(file: Path, manifest: Manifest) -> bool:
    """Whether the file is undamaged and has the same manifest; a damaged one of ours is written anew."""
    if not file.exists():
        return False
    try:
        return open_bundle(file).identity == hashlib.sha256(manifest.dump()).hexdigest()
    except WorkspaceError:
        return False


def _content(workspace: Workspace, ensemble: WorkspaceEnsemble) -> tuple[Manifest, Sources]:
    """The manifest of the file, and the bytes or the path of each of its parts."""
    records = {group: require_step(workspace, f"finetune/{group}", (paths.MODEL,)) for group in ensemble.groups}
    parts = {weights_of(group): (workspace.finetune(group), record) for group, record in records.items()}
    recogniser, sources = ensemble.recogniser(), Sources()
    recognising = None
    if recogniser is not None:
        folder = workspace.train(recogniser.model.learner)
        recognising = require_step(workspace, f"train/{recogniser.model.learner}", (paths.MODEL,))
        parts[weights_of_learner(recogniser.model.learner)] = (folder, recognising)
        sources[RECOGNISER] = workspace.calibrate.recogniser.read_bytes()
    produced = {name: record.produced[paths.MODEL] for name, (_, record) in parts.items()}
    weights = {
        name: File(name=name, size=int(entry["size"]), sha256=str(entry["sha256"])) for name, entry in produced.items()
    }
    members = {weights_of(group): weights[weights_of(group)].sha256 for group in records}
    readout = operating.content({CALIBRATED: replace(ensemble.readout(), weights=members)})
    sources[OPERATING] = (json.dumps(readout, indent=1, allow_nan=False) + "\n").encode()
    sources[ROSTER], sources[CARD] = workspace.calibrate.roster.read_bytes(), workspace.evaluate.card.read_bytes()
    texts = {
        name: File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in sources.items()
        if isinstance(data, bytes)
    }
    sources |= {name: folder.model for name, (folder, _) in parts.items()}
    size = int(ensemble.prepared.params["size"])
    groups = {group: _net(record, size) for group, record in records.items()}
    net = _net(recognising, size) if recognising else None
    manifest = Manifest(
        murace=__version__,
        fit=str(ensemble.prepared.params["fit"]),
        data=_data(ensemble.prepared),
        groups=groups,
        recogniser=net,
        files=tuple((texts | weights)[name] for name in names_of(groups, net)),
    )
    return manifest, sources


def _net(record: Record, size: int) -> Net:
    params = record.params
    return Net(
        learner=str(params["learner"]),
        width=float(params["width"]),
        head=str(params["head"]),
        size=size,
        precision=str(record.info["precision"]),
    )


def _data(prepared: Record) -> Data:
    """What every reader of the numbers must know of the images behind them."""
    info = prepared.info
    return Data(synthetic=bool(info.get("synthetic")), patient_level_split=bool(info.get("patient_level", True)))


def _onnx_ensemble(workspace: Workspace, ensemble: WorkspaceEnsemble) -> OnnxEnsemble:
    """The members, with prepared images of the group to compare them on, those of the test split first."""
    require_step(workspace, "prepare", (paths.INDEX, paths.PIXELS))
    index, pixels = read_index(workspace.prepare.index), open_pixels(workspace.prepare.pixels)

    def images(group: str) -> Bytes:
        mine = index[index["group"] == group]
        rows = pd.concat([mine[mine["split"] == Split.TEST], mine[mine["split"] != Split.TEST]])["row"].to_numpy()
        return np.asarray(pixels[np.sort(rows[:COMPARED])])

    readout = operating.content({CALIBRATED: ensemble.readout()})["models"][CALIBRATED]
    return OnnxEnsemble(
        members={group: ensemble.member(group) for group in ensemble.groups},
        images=images,
        readout={"temperature": readout["groups"], "points": readout["points"]},
        data=asdict(_data(ensemble.prepared)),
    )
