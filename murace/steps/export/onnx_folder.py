"""Write the members as a folder of ONNX files, all or none, and `ensemble.json`, last, which says how to use them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from murace import __version__
from murace.errors import MachineError, UsageError, WorkspaceError
from murace.nets.trained import Bytes, TrainedNet
from murace.steps.export.onnx_graph import (
    INPUT,
    OPSET,
    PACKAGES,
    onnx_probabilities,
    open_session,
    to_onnx,
    torch_probabilities,
)
from murace.system.device import Place
from murace.system.disk import disk_error
from murace.system.files import digest_of, parse_json, sha256, write_bytes
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import DISCLAIMER
from murace.workspace import writing

SCHEMA, FORMAT = 1, "murace-onnx"
RECORD, UNFINISHED = "ensemble.json", ".unfinished"
OWN = (UNFINISHED, ".lock")  # what a killed run leaves
TOLERANCE = 1e-4
FITS = {
    "squash": "Resize to size x size; the aspect is not kept.",
    "pad": "Resize so that the longer side has size pixels, and centre on a black square.",
}
RESIZING = (
    "A side that shrinks is averaged over areas (OpenCV's INTER_AREA); one that grows is interpolated linearly, in a "
    "second pass. 16 bits are brought to 8 after resizing: round(value * 255 / 65535)."
)
USE = {
    "grey": "Decode to one grey channel, upright, bone bright (invert MONOCHROME1), 8 or 16 bits. Nothing is clipped "
    "or stretched.",
    "scaling": "None: give the bytes 0 to 255. The graph divides by 255 itself.",
    "study": "A study's probability is the mean of `probability` over its views: of one patient and one body part, a "
    "picture that is stored twice counted once.",
    "calibrated": "sigmoid(logit(mean) / temperature of the group). It is on the same side of 0.5 as the mean.",
    "points": "Thresholds of the mean before the temperature; abnormal from the threshold on. null is undefined.",
    "group": "Each group has a net of its own, and the group must be known: no recogniser is here.",
    "precision": "The graphs compute in fp32. A member whose `precision` is bf16 was fitted and evaluated in bf16: "
    "`bf16_difference` is what that made of the same pictures.",
}


@dataclass(frozen=True, kw_only=True)
class OnnxEnsemble:
    """The members, a group's images uint8 [V, size, size] to compare them on, temperatures, thresholds, the data."""

    members: Mapping[str, TrainedNet]
    images: Callable[[str], Bytes]
    readout: Mapping[str, Any]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Converted:
    """The folder, whether nothing had to be done, and its `ensemble.json`."""

    folder: Path
    skipped: bool
    content: Mapping[str, Any]


def refuse_foreign(folder: Path) -> None:
    """Make sure that no file of another program is overwritten.

    Raises:
        UsageError: the folder is a file, or holds something and no record of ours.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--onnx: {folder} is a file; name a folder")
    if folder.is_dir() and _recorded(folder) is None and any(not _is_ours(path) for path in folder.iterdir()):
        raise UsageError(f"--onnx: {folder} holds files that are not of murace export; name a new or empty folder")


def _is_ours(path: Path) -> bool:
    """Whether a stopped run has left it; while its folder `.unfinished` is there, graphs may be in their places."""
    return path.name in OWN or (path.suffix == ".onnx" and path.with_name(UNFINISHED).is_dir())


def convert_all(folder: Path, ensemble: OnnxEnsemble, *, reporter: Reporter) -> Converted:
    """Write `<group>.onnx` for every member, each compared with its net on its images, and `ensemble.json`.

    Raises:
        MachineError: a graph answers otherwise than its net, or cannot be made; nothing is left. Or the disk is full.
        Interrupted: a signal came between two members; nothing is left.
    """
    about, unfinished = _about(ensemble), folder / UNFINISHED
    with writing(folder):
        before = _undamaged(folder)
        if before is not None and before.get("made_from") == about["made_from"] and _is_whole(folder, before):
            return Converted(folder, True, before)
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir()  # not a link to somewhere else, which nothing has removed
        except OSError as error:
            raise disk_error(error, unfinished) from error
        try:
            content = {**about, "groups": _write_members(unfinished, ensemble, reporter)}
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        try:
            for group in ensemble.members:
                (unfinished / f"{group}.onnx").replace(folder / f"{group}.onnx")
        except OSError as error:
            raise disk_error(error, folder) from error
        write_sealed(folder / RECORD, content)
        shutil.rmtree(unfinished, ignore_errors=True)  # last: until then it says that the graphs are ours
    return Converted(folder, False, content)


def _write_members(unfinished: Path, ensemble: OnnxEnsemble, reporter: Reporter) -> dict[str, Any]:
    found = {}
    with reporter.bar("onnx", len(ensemble.members), lines=True) as bar:
        for group, member in ensemble.members.items():
            reporter.check()
            path = unfinished / f"{group}.onnx"
            net = _on_cpu(member, "fp32").net()
            write_bytes(path, to_onnx(net, size=member.size))
            checked = _compare(group, path, net, member, ensemble.images(group))
            found[group] = {"file": path.name, "sha256": sha256(path), **_net_facts(member), "checked": checked}
            bar.advance(1, f"{group}: largest difference {checked['largest_difference']:.1e}")
    return found


def _on_cpu(member: TrainedNet, precision: str) -> TrainedNet:
    return replace(member, place=Place(torch.device("cpu"), precision))


def _compare(group: str, path: Path, net: torch.nn.Module, member: TrainedNet, images: Bytes) -> dict[str, Any]:
    """The largest difference of a probability between onnxruntime and torch, in fp32 and, where it is used, in bf16."""
    ask = partial(torch_probabilities, net)
    (wanted,) = _on_cpu(member, "fp32").ask(ask, images)
    difference = float(np.max(np.abs(onnx_probabilities(open_session(path.read_bytes()), images) - wanted)))
    if not difference <= TOLERANCE:
        raise MachineError(
            f"the ONNX graph of {group} differs from its net (by {difference:.2g}, allowed is {TOLERANCE:g}):"
            ' nothing was written; try other versions: pip install -U "murace[onnx]"'
        )
    found = {"images": len(images), "largest_difference": difference, "bf16_difference": None}
    if member.place.precision == "bf16":
        (rough,) = _on_cpu(member, "bf16").ask(ask, images)
        found["bf16_difference"] = float(np.max(np.abs(rough - wanted)))
    return found


def _net_facts(member: TrainedNet) -> dict[str, Any]:
    return {
        "learner": member.learner,
        "size": member.size,
        "precision": member.place.precision,
        "weights_sha256": member.sha256,
    }


def _about(ensemble: OnnxEnsemble) -> dict[str, Any]:
    """The content of `ensemble.json` but for the graphs, and the digest of what they are made from."""
    fits = {member.fit for member in ensemble.members.values()}
    values = {
        "schema": SCHEMA,
        "format": FORMAT,
        "murace": __version__,
        "disclaimer": DISCLAIMER,
        "data": dict(ensemble.data),
        "input": {"name": INPUT, "type": "uint8", "shape": ["views", 1, "size", "size"]},
        "outputs": {"probability": "float32 [views], of abnormal", "log_odds": "float32 [views], its logit"},
        "opset": OPSET,
        "fit": sorted(fits)[0],
        "use": {"fit": FITS[sorted(fits)[0]], "resizing": RESIZING, **USE},
        "tolerance": TOLERANCE,
        **ensemble.readout,
        "versions": {name: version(name) for name in ("torch", *PACKAGES)},
    }
    members = {group: _net_facts(member) for group, member in ensemble.members.items()}
    return {**values, "made_from": digest_of([values, members])}


def _recorded(folder: Path) -> dict[str, Any] | None:
    """The folder's `ensemble.json`, where it is ours."""
    try:
        values = parse_json((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) and values.get("format") == FORMAT else None


def _undamaged(folder: Path) -> dict[str, Any] | None:
    """The folder's `ensemble.json`, where it is undamaged."""
    try:
        return read_sealed(folder / RECORD)
    except (OSError, WorkspaceError):
        return None


def _is_whole(folder: Path, content: Mapping[str, Any]) -> bool:
    try:
        wanted = {folder / f"{group}.onnx": entry["sha256"] for group, entry in content["groups"].items()}
    except (KeyError, TypeError, AttributeError):
        return False
    return all(path.is_file() and sha256(path) == digest for path, digest in wanted.items())
