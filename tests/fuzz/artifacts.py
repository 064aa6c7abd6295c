"""Gates of a workspace and of what is handed over: records, checkpoints, models, bundles.

Most bytes are given the seal or digest that they need, so that what stands behind it is reached.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from murace.errors import WorkspaceError
from murace.inference.bundle.open import open_bundle
from murace.inference.recogniser.file import group_model_from
from murace.nets import create
from murace.nets.weights import METADATA, load_model, model_from
from murace.system.sealed import SEAL
from murace.training.checkpoint import newest_state
from murace.workspace import Record, begun, examine, read
from tests.corpus.workspaces import enormous, long_header, overlapping
from tests.fuzz.gate import Gate, scratch, written
from tests.inference.bundle.made_up import manifest, pack, sources, write

FORM = {"learner": "convnet", "width": 0.02, "head": "gap", "size": 64}
RAW = b"!"  # before bytes that are taken as they are


def sealed(data: bytes) -> bytes:
    """The bytes with the seal of a record; they should be a JSON object."""
    head = data.rstrip().removesuffix(b"}").rstrip()
    return head + f',\n "{SEAL}": "{hashlib.sha256(head).hexdigest()}"\n}}\n'.encode()


def enter_record(data: bytes) -> None:
    """A step's records, read as every command reads them."""
    folder = scratch() / "space/prepare"
    folder.mkdir(parents=True, exist_ok=True)
    content = data[1:] if data.startswith(RAW) else sealed(data)
    for name in ("begun.json", "step.json"):
        (folder / name).write_bytes(content)
    begun(folder)
    read(folder)
    (folder / "begun.json").unlink()
    examine(folder)


def enter_state(data: bytes) -> None:
    """A checkpoint whose digests fit."""
    folder = scratch() / "states"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "000001-000000.safetensors").write_bytes(data)
    about = {"name": "000001-000000.safetensors", "sha256": hashlib.sha256(data).hexdigest()}
    record = json.dumps({"file": about, "best": None, "facts": {}}, indent=1).encode()
    (folder / "000001-000000.json").write_bytes(sealed(record))
    newest_state(folder).load()


def enter_model(data: bytes) -> None:
    """A weights file from a workspace and one from somebody else."""
    try:
        load_model(written("a.safetensors", data))
    except WorkspaceError as error:
        assert "Traceback" not in str(error)  # noqa: PT017 - one of two outcomes
    net = model_from(data, FORM)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in net.state_dict().values())


def enter_recogniser(data: bytes) -> None:
    """The file of what tells groups apart."""
    model = group_model_from(data)
    assert np.isfinite(model.means).all()


def enter_bundle(data: bytes) -> None:
    """A file that was handed over: as it is, or a manifest in a container that fits it."""
    content = data[1:] if data.startswith(RAW) else pack(data, sources())
    opened = open_bundle(written("a.murace", content))
    for file in opened.manifest.files:
        assert len(opened.read(file.name)) == file.size


def _records() -> list[bytes]:
    record = Record(step="prepare", params={"seed": 0, "size": 8}, consumed={"source": "0" * 64},
                    produced={"index.csv": {"size": 1, "modified": 2, "sha256": "0" * 64}})  # fmt: skip
    whole = json.dumps(asdict(record), indent=1).encode()
    deep = b'{"params":' + b"[" * 2000 + b"]" * 2000 + b"}"
    return [whole, RAW + sealed(whole), RAW + whole, b"{}", b"[]", deep, b'{"schema": NaN}', b'{"a": 1, "a": 2}']


@cache
def _weights() -> bytes:
    torch.manual_seed(0)
    tensors = create(FORM["learner"], width=FORM["width"], head=FORM["head"], size=FORM["size"]).state_dict()
    return save(tensors, metadata={METADATA: json.dumps(FORM, sort_keys=True)})


def _models() -> list[bytes]:
    return [_weights(), long_header(), overlapping(), enormous(), b"", b"\x80\x04.", save({"x": torch.zeros(2)})]


def _recognisers() -> list[bytes]:
    facts: dict[str, Any] = {
        "groups": ["elbow", "wrist"], "learner": "convnet", "weights_sha256": "0" * 64,
        "distance_limit": 1.0, "temperature": 1.0, "confidence": 0.5,
        "accuracy": {level: {name: {"count": 2, "right": 1, "refused": 0} for name in ("elbow", "overall", "wrist")}
                     for level in ("image", "study")},
    }  # fmt: skip
    from safetensors.numpy import save as save_arrays

    arrays = {"means": np.zeros((2, 3)), "whitening": np.eye(3)}
    return [save_arrays(arrays, metadata={"murace": json.dumps(facts)}), *_models()]


def _bundles() -> list[bytes]:
    return [manifest().dump(), RAW + write(Path(scratch() / "b.murace")), RAW + b"PK\3\4"]


GATES = [
    Gate(name="record", enter=enter_record, errors=(WorkspaceError,), seeds=_records),
    Gate(name="state", enter=enter_state, errors=(WorkspaceError,), seeds=_models),
    Gate(name="model", enter=enter_model, errors=(ValueError,), seeds=_models),
    Gate(name="recogniser", enter=enter_recogniser, errors=(ValueError,), seeds=_recognisers),
    Gate(name="bundle", enter=enter_bundle, errors=(WorkspaceError,), seeds=_bundles),
]
