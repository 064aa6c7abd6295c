"""Files that lie about themselves are refused in one line, before memory is asked for."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from murace.data.ingest import pixelfile
from murace.data.store import open_pixels, read_frame, read_index
from murace.errors import WorkspaceError
from murace.inference.recogniser.file import load_group_model
from murace.nets import create
from murace.nets.weights import load_model, load_weights, save_model
from murace.system.files import sha256
from murace.system.sealed import SEAL, read_sealed, write_sealed
from murace.training.checkpoint import newest_state, save_state
from murace.workspace.roster import read_roster
from tests.security.watched import watched

FACTS = {"learner": "convnet", "width": 0.05, "head": "gap", "size": 128}


def refused(load: Callable[[Path], Any], path: Path) -> str:
    """The one line in which a file is refused, with little memory and no code run."""
    tracemalloc.start()
    with watched() as events, pytest.raises(WorkspaceError) as caught:
        load(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert events == []
    assert most < 200 * 2**20
    assert "\n" not in str(caught.value)
    return str(caught.value)


def packed(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def facts(**changes: object) -> dict[str, dict[str, str]]:
    return {"__metadata__": {"murace": json.dumps({**FACTS, **changes})}}


TENSORS = {
    "a header of 100 MB": lambda: packed(b" " * 100_000_000),
    "a header without end": lambda: packed(b"{}", length=2**63),
    "no header": lambda: b"\0" * 7,
    "overlapping offsets": lambda: packed({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)),
    "a gap": lambda: packed({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
    "bytes after the end": lambda: packed({"a": entry(0, 4, [1])}, bytes(12)),
    "a shape that is too large": lambda: packed({"a": entry(0, 4, [2**62, 2**62])}, bytes(4)),
    "a shape that wraps around": lambda: packed({"a": entry(0, 4, [2**32, 2**32 + 1])}, bytes(4)),
    "offsets that run back": lambda: packed({"a": entry(8, 0, [2])}, bytes(8)),
    "an unknown kind": lambda: packed({"a": entry(0, 4, [1], "PICKLE")}, bytes(4)),
    "a key twice": lambda: packed(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":1}', b"\0"),
    "nested without end": lambda: packed(b'{"a":' * 100_000),
    "no JSON": lambda: packed(b"\x80\x04K\x01."),
}
MODELS = {
    "no tensor": lambda: packed(facts()),
    "a net of endless width": lambda: packed(facts(width=float("inf"))),
    "a net of no width": lambda: packed(facts(width=float("nan"))),
    "a width in words": lambda: packed(facts(width="wide")),
    "an endless picture": lambda: packed(facts(size=10**30)),
    "a net of another house": lambda: packed(facts(learner="../../etc/passwd")),
    "facts that are a list": lambda: packed({"__metadata__": {"murace": "[1]"}}),
    "facts nested without end": lambda: packed({"__metadata__": {"murace": "[" * 100_000}}),
    "other tensors": lambda: save({"x": torch.zeros(1)}, metadata=facts()["__metadata__"]),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_lie_are_refused_by_every_gate(case: str, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(TENSORS[case]())
    assert str(path) in refused(load_model, path)
    assert str(path) in refused(load_group_model, path)
    assert str(path) in refused(lambda place: load_weights(place, torch.nn.Linear(1, 1)), path)
    save_state(tmp_path / "c", {"x": torch.zeros(2)}, {}, position=(1, 0), best=None)
    (state,), (record,) = (tmp_path / "c").glob("*.safetensors"), (tmp_path / "c").glob("*.json")
    state.write_bytes(path.read_bytes())
    write_sealed(record, {**read_sealed(record), "file": {"name": state.name, "sha256": sha256(state)}})
    assert state.name in refused(lambda folder: newest_state(folder).load(), tmp_path / "c")


@pytest.mark.parametrize("case", ["a header of 100 MB", "a header without end"])
def test_a_header_is_not_read_where_it_is_too_long(case: str, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(TENSORS[case]())
    for load in (load_model, load_group_model, lambda place: load_weights(place, torch.nn.Linear(1, 1))):
        assert "its header is too long" in refused(load, path)


@pytest.mark.parametrize("case", MODELS)
def test_a_model_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(MODELS[case]())
    assert "does not hold a murace model" in refused(load_model, path)


def test_a_tensor_too_many_or_too_few_is_refused(tmp_path: Path) -> None:
    weights = create("convnet", width=0.05, size=128).state_dict()
    save_model(tmp_path / "m", weights, FACTS)
    load_model(tmp_path / "m")
    name = next(iter(weights))
    for changed in ({**weights, "more": torch.zeros(1)}, {key: weights[key] for key in weights if key != name}):
        save_model(tmp_path / "m", changed, FACTS)
        assert "1 tensors are missing, too many" in refused(load_model, tmp_path / "m")


def array(header: str, data: bytes = bytes(32), *, version: bytes = b"\1\0") -> bytes:
    text = header.encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def shaped(shape: str, *, descr: str = "'|u1'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


ARRAYS = {
    "objects": array(shaped("(2, 4, 4)", descr="'|O'")),
    "records with objects": array(shaped("(2, 4, 4)", descr="[('a', '|O')]")),
    "columns first": array(shaped("(2, 4, 4)", order="True")),
    "another kind": array(shaped("(2, 4, 4)", descr="'<f8'"), bytes(256)),
    "another shape": array(shaped("(32,)")),
    "oblong": array(shaped("(4, 4, 2)")),
    "longer than the file": array(shaped("(2000000, 4096, 4096)")),
    "endless": array(shaped(f"({10**30}, 4, 4)")),
    "negative": array(shaped("(-1, 4, 4)")),
    "a call": array("__import__('os').system('touch marker')"),
    "a deep literal": array("(" * 9000),
    "a deep sum": array("-" * 9000 + "1"),
    "a long power": array("{'descr': '|u1', 'fortran_order': False, 'shape': (9**9**9, 4, 4)}"),
    "a header of another version": array(shaped("(2, 4, 4)"), version=b"\x09\0"),
    "no array": b"\x93NUMP",
    "nothing": b"",
    "a zip": b"PK\3\4" + bytes(100),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_that_lies_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    path.write_bytes(ARRAYS[case])
    assert "murace prepare SOURCE --force" in refused(open_pixels, path)
    shape = pixelfile.shape_of(path)  # of an unfinished run's; None is read again
    assert shape is None or int(np.prod(shape)) <= path.stat().st_size


def test_the_array_above_is_refused_for_its_lie_alone(tmp_path: Path) -> None:
    (tmp_path / "pixels.npy").write_bytes(array(shaped("(2, 4, 4)")))
    assert open_pixels(tmp_path / "pixels.npy").shape == (2, 4, 4)


CHOICE = {"learner": "convnet", "votes": {"convnet": 3}, "shared": [], "tie": False}
ROSTER = {"metrics": ["auc"], "level": "study", "groups": {"elbow": CHOICE}}
ROSTERS = {
    "a list": [],
    "no groups": {**ROSTER, "groups": {}},
    "groups in a list": {**ROSTER, "groups": ["elbow"]},
    "a group that leads elsewhere": {**ROSTER, "groups": {"../../etc": CHOICE}},
    "a learner that leads elsewhere": {**ROSTER, "groups": {"elbow": {**CHOICE, "learner": "../../etc"}}},
    "a learner in a list": {**ROSTER, "groups": {"elbow": {**CHOICE, "learner": ["convnet"]}}},
    "no votes": {**ROSTER, "groups": {"elbow": {**CHOICE, "votes": None}}},
    "votes in words": {**ROSTER, "groups": {"elbow": {**CHOICE, "votes": {"convnet": "3"}}}},
    "an unknown metric": {**ROSTER, "metrics": ["<script>"]},
    "an unknown level": {**ROSTER, "level": {}},
}


@pytest.mark.parametrize("case", ROSTERS)
def test_a_roster_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.json"
    path.write_text(json.dumps(ROSTERS[case]))
    assert refused(read_roster, path).endswith("Run: murace calibrate --fresh")
    path.write_text(json.dumps(ROSTER))
    assert read_roster(path) == ROSTER


def test_a_record_that_is_sealed_and_no_object_is_refused(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "step.json"
    for head in (b"[1", b"[" * 100_000, b'{"a": NaN', b'{"a": 1,\n "a": 2', b"\xff", b""):
        path.write_bytes(head + f',\n "{SEAL}": "{hashlib.sha256(head).hexdigest()}"\n}}\n'.encode())
        assert "is damaged" in refused(read_sealed, path)


TABLES = {
    "no text": b"\xff\xfe\0",
    "nothing": b"",
    "one column": b"row\n1\n",
    "other columns": b"a,b\n1,2\n",
    "torn": b'row,b\n"1',
    "ragged": b"row,b\n1,2,3,4\n1,2,3,4,5\n",
    "NUL": b"row\0,b\n1,2\n",
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    path.write_bytes(TABLES[case])
    assert str(path) in refused(read_index, path)
    assert str(path) in refused(lambda place: read_frame(place, needs=("row",)), path)


def test_a_table_is_refused_without_being_quoted(tmp_path: Path) -> None:
    path = tmp_path / "index.csv"
    header = "row,path,split,group,patient,study,label,width,height,sha256"
    path.write_text(f"{header}\nDOE_JANE,a,train,elbow,p,s,0,1,1,x\n")
    assert "DOE_JANE" not in refused(read_index, path)
