"""Checkpoints: the states of a training on disk from which it is resumed, each whole or not there.

A state is two files, `<epoch>-<step>.safetensors` and, written last, `<epoch>-<step>.json`, which is sealed and holds
the SHA-256 of the first: without its record a state does not exist. Two are kept, and the best weights they refer to.

Own code: torch.save writes a pickle, which can run code when it is loaded.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from murace.errors import WorkspaceError
from murace.nets.weights import dump, tensors_from
from murace.system.files import sha256, write_bytes
from murace.system.sealed import read_sealed, write_sealed

# What a state's record says of its run: how it computed, its settings, its data's digests, and where it stood.
FACTS = ("threads", "precision", "processes", "compiled", "about", "consumed", "progress")
ADAM = "adam"  # what the names of the optimizer's tensors begin with
KEPT = 2


@dataclass(frozen=True)
class SavedState:
    """A saved state as its record says: the facts of its run, and name and SHA-256 of its files.

    `file` holds its tensors, `best` the best weights so far; `remedy` is what to do where one is damaged.
    """

    folder: Path
    facts: dict[str, Any]
    file: Mapping[str, str]
    best: Mapping[str, str] | None
    remedy: str

    def load(self) -> dict[str, Tensor]:
        """The state's tensors, checked against its digests, as the best weights are.

        Raises:
            WorkspaceError: a file is damaged; the message says how to go on.
        """
        data = self._read(self.file)
        if self.best:
            self._read(self.best)
        try:
            return tensors_from(data)
        except ValueError as error:
            raise WorkspaceError(f"{self._path(self.file)} holds no tensors ({error}); {self.remedy}") from error

    @property
    def best_weights(self) -> Path | None:
        """The file with the best weights, where there is an epoch to compare."""
        return self._path(self.best) if self.best else None

    def _path(self, entry: Mapping[str, str]) -> Path:
        return self.folder / Path(entry["name"]).name  # nowhere else, whatever a record says

    def _read(self, entry: Mapping[str, str]) -> bytes:
        path = self._path(entry)
        data = path.read_bytes() if path.is_file() else None
        if data is None or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise WorkspaceError(f"{path} is missing or damaged (SHA-256 differs); {self.remedy}")
        return data


def newest_state(folder: Path) -> SavedState | None:
    """The newest state in a folder of checkpoints; None where there is none.

    Raises:
        WorkspaceError: its record is damaged; the message says how to go on.
    """
    records = sorted(folder.glob("*.json"))  # by epoch and step
    if not records:
        return None
    newest = records[-1]
    remedy = f"delete {newest} to go on from the state before it" if len(records) > 1 else "start over with --fresh"
    try:
        record = read_sealed(newest)
    except WorkspaceError as error:
        raise WorkspaceError(f"{error}; {remedy}") from error
    if record.get("file", {}).get("name") != newest.with_suffix(".safetensors").name:
        raise WorkspaceError(f"{newest} is the record of another state; {remedy}")
    return SavedState(folder, record["facts"], record["file"], record.get("best"), remedy)


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
        "file": {"name": path.name, "sha256": write_bytes(path, dump(tensors))},
        "best": {"name": best.name, "sha256": sha256(best)} if best else None,
        "facts": dict(facts),
    }
    write_sealed(path.with_suffix(".json"), record)
    _rotate(folder)


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


def flatten_adam(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's state as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{ADAM}.{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_adam(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `flatten_adam`, strictly: every moment, or none where no step has been done.

    Raises:
        ValueError: a moment is missing, too many or of another form.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(f"{ADAM}."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
    _require_every_moment(optimizer, state)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, entry in optimizer.state.items():
        for key, value in entry.items():
            if value.shape == parameter.shape:
                # In the parameter's own strides: fused Adam walks both by address, so in channels-last a contiguous
                # moment would be paired with other weights, silently.
                entry[key] = torch.empty_like(parameter).copy_(value)


def _require_every_moment(optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Refuse what torch would accept silently, beginning anew where a moment is missing."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if state and set(state) != set(range(len(parameters))):
        raise ValueError("the moments of some weights are missing")
    for index, entry in state.items():
        shapes = {key: tuple(value.shape) for key, value in entry.items()}
        of_weight = tuple(parameters[index].shape)
        if shapes != {"step": (), "exp_avg": of_weight, "exp_avg_sq": of_weight}:
            raise ValueError(f"the moments of weight {index} are of another form")
