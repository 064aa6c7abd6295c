"""Read studies with the roster's members and draw where they look."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from murace import device
from murace.cam import activation_maps, over_original, probability
from murace.chain import CALIBRATE, PREPARE, finetune_command
from murace.checkpoint import load_model
from murace.config import Machine
from murace.data.decode import Radiograph, read, resize, to_eight_bits
from murace.data.header import ImageError
from murace.data.opencv import cv2
from murace.data.paths import is_sidecar
from murace.errors import DataError, UsageError
from murace.files import read_json, sha256, write_bytes, write_json
from murace.metrics.scores import THRESHOLD
from murace.nets import Learner
from murace.record import Record, require
from murace.report.overlay import triptych
from murace.vocabulary import DISCLAIMER, closest
from murace.watch import Watch
from murace.workspace import Workspace

SUFFIXES = (".png", ".jpg", ".jpeg")
RECORD, BEGUN = "study.json", "begun.json"
REGION = re.compile(r"XR_([A-Z]+)")
MURA_PLACE = re.compile(r"(XR_[A-Z]+)/(patient\d+)/(study\d+)_(?:positive|negative)$")


@dataclass(frozen=True)
class Study:
    """What is read together: its views, its group and the folder its overlays go to."""

    views: tuple[Path, ...]
    group: str
    folder: Path


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
    """Draw every view of every study in `paths` (study folders, or image files: files of one folder are one study).

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
                bad.append(f"{study.views[0].parent}: {error}")
            bar.advance(note=study.group)
    if bad:
        raise DataError(f"{len(bad)} of {len(studies)} studies could not be read: {'; '.join(bad)}")
    return readings


def gather(paths: Sequence[Path], *, out: Path, group: str | None, known: Sequence[str]) -> list[Study]:
    """Turn what was typed into studies, and refuse before anything is drawn.

    Raises:
        UsageError, DataError: see `run`.
    """
    if group is not None and group not in known:
        raise UsageError(f"--group: unknown group '{group}'{closest(group, known)}")
    views: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if _is_view(item))
            if not found:
                raise DataError(f"{path} holds no PNG or JPEG: name a study folder or image files")
            views.setdefault(path, []).extend(found)
        elif path.is_file():
            views.setdefault(path.parent, []).append(path)
        else:
            raise DataError(f"no such file or folder: {path}")
    studies = []
    for place, files in views.items():
        name = group or _group_in(place.resolve(), known)
        studies.append(Study(tuple(dict.fromkeys(files)), name, out / _name_of(place.resolve(), name)))
    folders = [study.folder for study in studies]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UsageError(f"two studies would both be drawn into {folder}: draw them into different --out folders")
    return studies


def _is_view(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not is_sidecar(path.name)


def _group_in(place: Path, known: Sequence[str]) -> str:
    """The group that the path names as MURA does, `XR_ELBOW`."""
    regions = [match[1].lower() for part in place.parts if (match := REGION.fullmatch(part))]
    if not regions:
        raise UsageError(f"which group is {place.name}? The path names none; add --group, one of: {', '.join(known)}")
    if regions[-1] not in known:
        raise UsageError(f"no member for group '{regions[-1]}'; add --group, one of: {', '.join(known)}")
    return regions[-1]


def _name_of(place: Path, group: str) -> str:
    """`<group>-<patient>-<study>`, or a hash of the path where it is not of MURA's form."""
    match = MURA_PLACE.search(place.as_posix())
    if match and match[1] == f"XR_{group.upper()}":
        return f"{group}-{match[2]}-{match[3]}"
    return f"{group}-{hashlib.sha256(place.as_posix().encode()).hexdigest()[:16]}"


def _read_study(study: Study, reader: Reader, *, force: bool) -> Reading:
    """Skip a study whose record says that this model has drawn these very files; else draw it, its record last."""
    record = study.folder / RECORD
    identity = {
        "model_sha256": reader.member.produced["model.safetensors"]["sha256"],
        "views_sha256": [sha256(view) for view in study.views],
    }
    old = read_json(record) if record.is_file() else {}
    names = view_names(study.views)
    if all(old.get(key) == value for key, value in identity.items()):
        if not force and all((study.folder / name).is_file() for name in names):
            return Reading(study.folder, skipped=True, content=old)
    else:
        _refuse_foreign(study.folder, names, old)
    pictures = [read(view) for view in study.views]  # before anything is written: a view may be unreadable
    write_json(study.folder / BEGUN, {"files": names})
    content = {**_draw(study, pictures, reader, names), **identity}
    write_json(record, content)
    (study.folder / BEGUN).unlink()
    return Reading(study.folder, skipped=False, content=content)


def view_names(views: Sequence[Path]) -> list[str]:
    """The overlays' file names: the view's own, with its ending too where two views share a stem."""
    stems = [view.stem for view in views]
    return [f"{view.stem if stems.count(view.stem) == 1 else view.name}.png" for view in views]


def _refuse_foreign(folder: Path, names: Sequence[str], old: Mapping[str, Any]) -> None:
    """Never overwrite what `cam` has not written: its record names the files, or the note of a run that was killed."""
    note = folder / BEGUN
    ours = {view["file"] for view in old.get("views", [])} | set(read_json(note)["files"] if note.is_file() else [])
    if (folder / RECORD).is_file() and "model_sha256" not in old:
        raise UsageError(f"{folder / RECORD} was not written by murace cam: choose another --out")
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
