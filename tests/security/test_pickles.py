"""No gate loads a pickle, whatever it is called and wherever it lies: ten gadgets, and no marker (S2)."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from murace.data.images.decode import read, read_drawn
from murace.data.images.header import ImageError
from murace.data.sources import changes
from murace.data.sources.listing import Listing
from murace.data.sources.manifest import list_manifest
from murace.data.store import open_pixels, read_frame, read_index
from murace.data.tables.predictions import read_predictions
from murace.errors import DataError, WorkspaceError
from murace.inference import operating_points
from murace.inference.bundle.open import open_bundle
from murace.inference.recogniser.file import load_group_model
from murace.inference.studies.journal import kept
from murace.nets.weights import load_model, load_weights, model_from
from murace.system.files import read_json, sha256
from murace.system.sealed import read_sealed, write_sealed
from murace.training.checkpoint import newest_state, save_state
from murace.workspace import begun
from murace.workspace import read as read_record
from murace.workspace.roster import read_roster
from tests.security import gadgets
from tests.security.watched import CODE, watched

NAMES = (
    "os.system", "builtins.eval", "in plain ASCII", "runpy", "torch.hub", "numpy's constructor", "nested",
    "in a state's random numbers", "in a state's optimiser", "a chain in JSON's clothes",
)  # fmt: skip


def state_of(path: Path) -> Any:
    """A training state whose record is sealed anew, and names these very bytes."""
    folder = path.parent / "checkpoint"
    save_state(folder, {"x": torch.zeros(2)}, {"precision": "fp32"}, position=(1, 0), best=None)
    (file,) = folder.glob("*.safetensors")
    file.write_bytes(path.read_bytes())
    (record,) = folder.glob("*.json")
    write_sealed(record, {**read_sealed(record), "file": {"name": file.name, "sha256": sha256(file)}})
    return newest_state(folder).load()


def record_of(path: Path) -> Any:
    """A training state whose record is the gadget."""
    folder = path.parent / "recorded"
    folder.mkdir()
    (folder / "000001-000000.json").write_bytes(path.read_bytes())
    return newest_state(folder)


def step_of(name: str, load: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def loaded(path: Path) -> Any:
        folder = path.parent / "step"
        folder.mkdir()
        (folder / name).write_bytes(path.read_bytes())
        return load(folder)

    return loaded


def nothing_of(path: Path) -> None:
    """Lines that are none of ours are passed over."""
    folder = path.parent / "journal"
    folder.mkdir()
    (folder / "0.jsonl").write_bytes(path.read_bytes())
    assert kept(folder, ["a"]) == {}
    raise WorkspaceError("passed over")


def listing(root: Path) -> Listing:
    return Listing(form="manifest", root=root, images=pd.DataFrame({"path": []}), cuts={})


GATES: dict[str, Callable[[Path], Any]] = {
    "model": load_model,
    "model of a bundle": lambda path: model_from(path.read_bytes(), {}),
    "best weights": lambda path: load_weights(path, torch.nn.Linear(1, 1)),
    "state": state_of,
    "state's record": record_of,
    "step.json": step_of("step.json", read_record),
    "begun.json": step_of("begun.json", begun),
    "sealed": read_sealed,
    "roster": read_roster,
    "operating": lambda path: operating_points.load(path, {"calibrated": {}}),
    "JSON": read_json,
    "recogniser": load_group_model,
    "index": read_index,
    "pixels": open_pixels,
    "table": lambda path: read_frame(path, needs=("row",)),
    "sources": lambda path: changes.since(path, listing(path.parent), follow_links=False),
    "bundle": open_bundle,
    "journal": nothing_of,
    "radiograph": read,
    "drawn picture": read_drawn,
    "manifest": list_manifest,
    "predictions": read_predictions,
}


# What is loaded as what it claims to be: a tensor of bytes, a text. Who asked for it finds nothing of his in it.
INERT = {("state", "in safetensors"), ("JSON", "as JSON")}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.mark.parametrize("name", NAMES)
def test_the_gadgets_work(name: str, marker: Path) -> None:
    corpus = gadgets.corpus(marker)
    assert tuple(corpus) == NAMES
    with watched() as events:
        gadgets.fire(name, corpus[name])
    assert marker.exists()
    assert any(event.startswith(CODE) for event in events)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("name", NAMES)
def test_no_gate_runs_what_a_file_says(name: str, gate: str, marker: Path) -> None:
    data = gadgets.corpus(marker)[name]
    text = json.dumps(data.decode("latin-1")).encode()
    forms = {"as it is": data, "in safetensors": gadgets.in_safetensors(data), "as JSON": text}
    for form, file in forms.items():
        folder = marker.parent / form
        folder.mkdir()
        (folder / "file").write_bytes(file)
        refused = pytest.raises((WorkspaceError, DataError, ImageError, ValueError))
        with watched() as events, nullcontext() if (gate, form) in INERT else refused:
            GATES[gate](folder / "file")
        assert not marker.exists()
        assert events == []
