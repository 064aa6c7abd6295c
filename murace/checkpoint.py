"""Weights and training states on disk: safetensors for tensors, JSON for the rest, nothing that could run code.

A training state is two files, `<epoch>-<step>.safetensors` and, written last, `<epoch>-<step>.json` with the SHA-256 of
the first: without its record a state does not exist. Two states are kept, and the best weights they refer to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from murace.breakdown import refuse_machine_error
from murace.errors import UsageError, WorkspaceError
from murace.files import sha256, sweep, write_bytes
from murace.nets import Learner, create
from murace.seal import read_sealed, write_sealed

KEPT = 2
MAX_HEADER = 4 * 2**20  # bytes that name the tensors; the longest of ours, densenet's, has 0.2 MiB
# What a weights file that is none of ours may raise on its way into a net.
ILL_FORMED = (KeyError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError, OSError, UsageError)
METADATA = "murace"  # one key only: safetensors writes several in any order, and bytes must not depend on chance


@dataclass(frozen=True)
class Saved:
    """A state read back: its tensors, its facts, and the file with the best weights so far."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    best: Path | None


def save_model(path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a net's weights, its `state_dict`, with the facts that rebuild it (learner, width, head, size)."""
    metadata = {METADATA: json.dumps(facts, sort_keys=True)}
    write_bytes(path, save_tensors(_dense(weights), metadata=metadata))


def load_model(path: Path) -> Learner:
    """Rebuild a net from its weights file, strictly, in evaluation mode.

    Raises:
        WorkspaceError: the file is not what `save_model` writes.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            return _rebuilt(_facts(file.metadata()), tensors)
    except (SafetensorError, *ILL_FORMED) as error:
        refuse_machine_error(error)
        raise WorkspaceError(
            f"{path} does not hold a murace model ({error}); run its step again with --fresh"
        ) from error


def model_from(data: bytes, facts: Mapping[str, Any]) -> Learner:
    """Rebuild a net from the bytes of its weights file, which somebody else may have written, in evaluation mode.

    Nothing is built before the names, shapes and types of all tensors are those of the net that `facts` (learner,
    width, head, size) describe; so the net is not larger than the data.

    Raises:
        ValueError: they are not the bytes of such a net, or a weight is not a finite number.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        if length > MAX_HEADER:
            raise ValueError("its header is too long")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        if _facts(metadata) != dict(facts):
            raise ValueError("it is about another net")
        tensors = load_tensors(data)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("a weight is not finite")
        return _rebuilt(facts, tensors)
    except (SafetensorError, *ILL_FORMED) as error:
        refuse_machine_error(error)
        raise ValueError(f"does not hold the weights of its net ({error})") from error


def _facts(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What a weights file says of its net."""
    facts: dict[str, Any] = json.loads((metadata or {})[METADATA])
    return facts


def _rebuilt(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Learner:
    """The net, once its skeleton, which takes no memory, has been compared with the tensors."""
    form = {"width": facts["width"], "head": facts["head"], "size": facts["size"]}
    with torch.device("meta"):
        skeleton = create(facts["learner"], **form).state_dict()
    wrong = sorted(skeleton.keys() ^ tensors.keys()) or [
        name for name, tensor in skeleton.items() if (tensor.shape, tensor.dtype) != _form(tensors[name])
    ]
    if wrong:
        raise ValueError(f"{len(wrong)} tensors are missing, too many or of another form, {wrong[0]} first")
    net = create(facts["learner"], **form)
    net.load_state_dict(tensors)
    return net.eval()


def _form(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def load_weights(path: Path, net: nn.Module) -> None:
    """Put the weights of a file of ours into a net of the same form.

    Raises:
        WorkspaceError: the file is damaged or of another form.
    """
    try:
        net.load_state_dict(load_tensors(path.read_bytes()))
    except (SafetensorError, RuntimeError, OSError) as error:
        refuse_machine_error(error)
        raise WorkspaceError(f"{path} does not fit ({error}); run its step again with --fresh") from error


def save_state(
    folder: Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    *,
    position: tuple[int, int],
    best: Path | None,
) -> None:
    """Write a training state at (epochs done, steps done in the next one), its record last, and drop older ones."""
    path = folder / "{:06d}-{:06d}.safetensors".format(*position)
    record = {
        "file": {"name": path.name, "sha256": write_bytes(path, save_tensors(_dense(tensors)))},
        "best": {"name": best.name, "sha256": sha256(best)} if best else None,
        "facts": dict(facts),
    }
    write_sealed(path.with_suffix(".json"), record)
    _rotate(folder)


def recorded_facts(folder: Path) -> dict[str, Any]:
    """What the newest state says of its run; nothing where there is none."""
    records = sorted(folder.glob("*.json"))
    return dict(_read_record(records)["facts"]) if records else {}


def latest_state(folder: Path, *, sweeps: bool = True) -> Saved | None:
    """The newest committed state, checked against its digests; None where there is none.

    Raises:
        WorkspaceError: it is damaged; the message says how to go on.
    """
    if sweeps:
        sweep(folder)
    records = sorted(folder.glob("*.json"))
    if not records:
        return None
    record, way_out = _read_record(records), _way_out(records)
    for entry in (record["file"], record["best"]):
        if entry and (not (folder / entry["name"]).is_file() or sha256(folder / entry["name"]) != entry["sha256"]):
            raise WorkspaceError(f"{folder / entry['name']} is missing or damaged (SHA-256 differs); {way_out}")
    tensors = load_tensors((folder / record["file"]["name"]).read_bytes())
    return Saved(tensors, record["facts"], folder / record["best"]["name"] if record["best"] else None)


def _read_record(records: list[Path]) -> Any:
    try:
        return read_sealed(records[-1])
    except WorkspaceError as error:
        raise WorkspaceError(f"{records[-1]} is damaged; {_way_out(records)}") from error


def _way_out(records: list[Path]) -> str:
    return f"delete {records[-1]} to go on from the state before it" if len(records) > 1 else "start over with --fresh"


def _rotate(folder: Path) -> None:
    """Drop all but the newest records, then every weights file that no record names. Newest by name: by position."""
    records = sorted(folder.glob("*.json"))
    for record in records[:-KEPT]:
        record.unlink()
    named = set()
    for record in records[-KEPT:]:
        content = read_sealed(record)
        named |= {entry["name"] for entry in (content["file"], content["best"]) if entry}
    for path in folder.glob("*.safetensors"):
        if path.name not in named:
            path.unlink()


def _dense(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous on the CPU, as the format knows no strides; what is so already is not copied."""
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}


def flatten_adam(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"adam.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_adam(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `flatten_adam`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if value.shape == parameter.shape:
                # In the parameter's own strides: fused Adam walks both by address, so in channels-last a contiguous
                # moment would be paired with other weights, silently.
                entry[key] = torch.empty_like(parameter).copy_(value)
