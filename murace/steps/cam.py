"""Read studies with the roster's members and draw where they look."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from murace import device
from murace.cam import NO_MAP, activation_maps, over_original, probability
from murace.chain import CALIBRATE, PREPARE, finetune_command
from murace.checkpoint import load_model
from murace.config import Machine
from murace.data.decode import Radiograph, read, resize, to_eight_bits
from murace.data.header import ImageError
from murace.data.studies import Study, gather, view_names
from murace.errors import DataError, UsageError
from murace.files import read_json, sha256, write_bytes, write_json
from murace.metrics.scores import THRESHOLD
from murace.nets import Learner
from murace.opencv import cv2
from murace.record import Record, require
from murace.report.overlay import triptych
from murace.vocabulary import DISCLAIMER
from murace.watch import Watch
from murace.workspace import Workspace

RECORD, BEGUN = "study.json", "begun.json"


@dataclass(frozen=True)
class Reader:
    """Who reads: a member's net, its record, where it runs, and how pictures are brought to its size."""

    net: Learner
    member: Record
    place: device.Place
    fit: str


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
        UsageError: a group is neither given nor in the path, or unknown; or the nets have no map.
        WorkspaceError: a member is missing, stale or damaged.
        DataError: a path or a view cannot be read; all are named.
    """
    chosen, remark = device.choose(machine)
    prepared = require(workspace.prepare.folder, PREPARE, ("index.csv",))
    require(workspace.calibrate.folder, CALIBRATE, ("roster.json",))
    roster = read_json(workspace.calibrate.roster)["groups"]
    studies = gather(paths, out=out, group=group, known=sorted(roster))
    members = {
        name: require(workspace.finetune(name).folder, finetune_command(name), ("model.safetensors",))
        for name in sorted({study.group for study in studies})
    }
    flat = [name for name, member in members.items() if member.params["head"] != "gap"]
    if flat:
        raise UsageError(f"{NO_MAP}: the member for {', '.join(flat)} has none")
    if remark:
        watch.say(remark)
    device.set_threads(machine)
    nets, readings = dict[str, Learner](), list[Reading]()
    bad = []
    with watch.bar("studies", len(studies)) as bar:
        for study in studies:
            watch.check()
            if study.group not in nets:
                nets[study.group] = load_model(workspace.finetune(study.group).model)
            place = device.Place(chosen, members[study.group].info["precision"])
            place.put(nets[study.group])
            try:
                reader = Reader(nets[study.group], members[study.group], place, str(prepared.params["fit"]))
                readings.append(_read_study(study, reader, force=force))
            except ImageError as error:
                bad.append(str(error))
            bar.advance(note=study.group)
    if bad:
        raise DataError(f"{len(bad)} of {len(studies)} studies could not be read: {'; '.join(bad)}")
    return readings


def _read_study(study: Study, reader: Reader, *, force: bool) -> Reading:
    """Skip a study whose record says that this model has drawn these very files; else draw it, its record last."""
    record = study.folder / RECORD
    identity = {
        "model_sha256": reader.member.produced["model.safetensors"]["sha256"],
        "views_sha256": [sha256(view) for view in study.views],
    }
    old = _recorded(record)
    names = view_names(study.views)
    if all(old.get(key) == value for key, value in identity.items()):
        if not force and all((study.folder / name).is_file() for name in names):
            return Reading(study.folder, skipped=True, content=old)
    else:
        _refuse_foreign(study.folder, names, old)
    pictures = _open(study.views)  # before anything is written: a view may be unreadable
    write_json(study.folder / BEGUN, {"files": names})
    content = {**_draw(study, pictures, reader, names), **identity}
    write_json(record, content)
    (study.folder / BEGUN).unlink()
    return Reading(study.folder, skipped=False, content=content)


def _open(views: Sequence[Path]) -> list[Radiograph]:
    """Read all views, or say of each that cannot be read why."""
    pictures, bad = [], []
    for view in views:
        try:
            pictures.append(read(view))
        except ImageError as error:
            bad.append(f"{view}: {error}")
    if bad:
        raise ImageError("; ".join(bad))
    return pictures


def _recorded(path: Path) -> dict[str, Any]:
    """What a study's record says; nothing where there is none."""
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        content = None
    if not isinstance(content, dict) or (content and "model_sha256" not in content):
        raise UsageError(f"{path} was not written by murace cam: choose another --out")
    return content


def _refuse_foreign(folder: Path, names: Sequence[str], old: Mapping[str, Any]) -> None:
    """Never overwrite what `cam` has not written: its record names the files, or the note of a run that was killed."""
    note = folder / BEGUN
    ours = {view["file"] for view in old.get("views", [])} | set(read_json(note)["files"] if note.is_file() else [])
    foreign = [name for name in names if name not in ours and (folder / name).exists()]
    if foreign:
        raise UsageError(f"{folder / foreign[0]} was not written by murace cam: choose another --out")


def _draw(study: Study, pictures: Sequence[Radiograph], reader: Reader, names: Sequence[str]) -> dict[str, Any]:
    """One forward pass over the views, one overlay per view, and what `study.json` says about them."""
    size = int(reader.member.params["size"])
    small = np.stack([resize(picture.grey, size=size, fit=reader.fit) for picture in pictures])
    batch = torch.from_numpy(small).float().div(255)[:, None].to(reader.place.device)
    with reader.place.autocast():
        maps, log_odds = activation_maps(reader.net, batch.contiguous(memory_format=reader.place.memory_format))
    chances = probability(log_odds)
    mean = float(chances.mean())
    decision = "abnormal" if mean >= THRESHOLD else "normal"
    learner = str(reader.member.params["learner"])
    for name, picture, heat, chance in zip(names, pictures, maps, chances, strict=True):
        original = to_eight_bits(picture.grey)
        height, width = original.shape
        laid = over_original(heat, width=width, height=height, fit=reader.fit)
        caption = f"p = {chance:.2f}   study {mean:.2f} {decision}   {study.group}   {learner}"
        _write_png(study.folder / name, triptych(original, laid, caption=caption))
    return {
        "group": study.group,
        "learner": learner,
        "probability": mean,
        "decision": decision,
        "threshold": THRESHOLD,
        "views": [
            {"file": name, "probability": float(chance), "log_odds": float(odds)}
            for name, chance, odds in zip(names, chances, log_odds, strict=True)
        ],
        "notice": DISCLAIMER,
    }


def _write_png(path: Path, drawn: npt.NDArray[np.uint8]) -> None:
    done, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    assert done, "OpenCV cannot encode PNG"
    write_bytes(path, png.tobytes())
