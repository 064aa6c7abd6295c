"""One file answers as the workspace that it comes from; one that contradicts itself is refused, not believed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from murace.errors import WorkspaceError
from murace.inference.bundle.manifest import File, Manifest
from murace.inference.bundle.open import open_bundle
from murace.inference.ensemble.from_file import FileEnsemble
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.nets import create, weights
from murace.steps.export import step
from murace.system.progress import Reporter
from murace.workspace.paths import Workspace
from tests.inference.bundle.made_up import pack
from tests.workshop import CPU, SIZE

CPU_DEVICE = torch.device("cpu")
Parts = dict[str, bytes]


@pytest.fixture
def exported(finished: Workspace, tmp_path: Path) -> Path:
    step.run(finished, tmp_path / "a.murace", None, machine=CPU, reporter=Reporter())
    return tmp_path / "a.murace"


def parts_of(path: Path) -> tuple[Manifest, Parts]:
    opened = open_bundle(path)
    return opened.manifest, {file.name: opened.read(file.name) for file in opened.manifest.files}


def tampered(path: Path, change: Callable[[Parts], object], **manifest: Any) -> Path:
    """The same file with other parts, and every digest right again."""
    old, parts = parts_of(path)
    change(parts)
    files = tuple(File(name=n, size=len(data), sha256=hashlib.sha256(data).hexdigest()) for n, data in parts.items())
    new = replace(old, files=files, **manifest)
    path.write_bytes(pack(new.dump(), parts))
    return path


def in_json(name: str, change: Callable[[Any], object]) -> Callable[[Parts], None]:
    def do(parts: Parts) -> None:
        values = json.loads(parts[name])
        change(values)
        parts[name] = json.dumps(values).encode()

    return do


def set_weights(parts: Parts, group: str, tensors: dict[str, torch.Tensor], **facts: Any) -> None:
    """Exchange a member, and let the operating points belong to the new one."""
    name = f"members/{group}.safetensors"
    header = json.loads(parts[name][8 : 8 + int.from_bytes(parts[name][:8], "little")])["__metadata__"]["murace"]
    metadata = {"murace": json.dumps({**json.loads(header), **facts}, sort_keys=True)}
    parts[name] = save({key: value.contiguous() for key, value in tensors.items()}, metadata=metadata)
    digest = hashlib.sha256(parts[name]).hexdigest()
    in_json("operating.json", lambda values: values["models"]["calibrated"]["weights"].update({name: digest}))(parts)


def test_a_file_answers_as_its_workspace(exported: Path, finished: Workspace) -> None:
    theirs, ours = FileEnsemble(exported, CPU_DEVICE), WorkspaceEnsemble(finished, CPU_DEVICE)
    assert theirs.groups == ours.groups
    assert replace(theirs.readout(), weights={}) == replace(ours.readout(), weights={})
    images = torch.rand(3, 1, SIZE, SIZE)
    for group in theirs.groups:
        mine, other = theirs.member(group), ours.member(group)
        assert replace(mine, load=other.load) == other
        with torch.no_grad():
            assert torch.equal(mine.net()(images), other.net()(images))
    mine, other = theirs.recogniser(), ours.recogniser()
    assert mine is not None
    assert other is not None
    assert mine.model.groups == other.model.groups
    assert (mine.model.means == other.model.means).all()
    with torch.no_grad():
        assert torch.equal(mine.trained.net()(images), other.trained.net()(images))


def test_no_net_is_built_and_no_part_understood_of_a_damaged_file(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("create", "load_tensors"):
        monkeypatch.setattr(weights, name, lambda *rest, **more: pytest.fail("a net was built"))
    for name in ("group_model_from", "model_from"):
        monkeypatch.setattr(
            f"murace.inference.ensemble.from_file.{name}", lambda *rest: pytest.fail("a part was understood")
        )
    data = bytearray(exported.read_bytes())
    for place in (40, len(data) // 2, len(data) - 900, len(data) - 3):
        data[place] ^= 1
        exported.write_bytes(data)
        with pytest.raises(WorkspaceError, match="is refused"):
            FileEnsemble(exported, CPU_DEVICE)
        data[place] ^= 1
    exported.write_bytes(data)
    FileEnsemble(exported, CPU_DEVICE)  # opening a sound one builds nothing either


def test_weights_that_are_exchanged_after_opening_are_not_loaded(exported: Path) -> None:
    member = FileEnsemble(exported, CPU_DEVICE).member("elbow")
    set_to_zero = {name: value * 0 for name, value in load(parts_of(exported)[1]["members/elbow.safetensors"]).items()}
    tampered(exported, lambda parts: set_weights(parts, "elbow", set_to_zero))
    with pytest.raises(WorkspaceError, match="has changed since it was opened"):
        member.net()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(temperature=0), id="temperature 0"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(temperature=-1), id="negative"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(temperature=1e999), id="infinite"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(temperature=1e-999), id="tiny"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(temperature=[]), id="a list"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].update(studies=float("inf")), id="studies"),
        pytest.param(
            "operating.json", lambda v: v["models"]["calibrated"]["groups"].update(elbow=float("nan")), id="nan"
        ),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"]["points"].update(half=1.5), id="above 1"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"]["points"].update(half="0.5"), id="a text"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"].pop("points"), id="no points"),
        pytest.param("operating.json", lambda v: v.update(models=[]), id="no models"),
        pytest.param("operating.json", lambda v: v["models"]["calibrated"]["weights"].popitem(), id="other weights"),
        pytest.param("roster.json", lambda v: v["groups"]["elbow"].update(learner="vgg"), id="another learner"),
        pytest.param("roster.json", lambda v: v["groups"].pop("elbow"), id="a group less"),
        pytest.param("roster.json", lambda v: v.update(groups=3), id="no groups"),
    ],
)
def test_small_parts_that_make_no_sense_are_refused_on_opening(
    exported: Path, name: str, change: Callable[[Any], object]
) -> None:
    tampered(exported, in_json(name, change))
    with pytest.raises(WorkspaceError, match=rf"is refused: {name} in it") as caught:
        FileEnsemble(exported, CPU_DEVICE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 10**5, b"\xff", b"null"])
@pytest.mark.parametrize("name", ["operating.json", "roster.json"])
def test_what_is_no_json_is_refused_on_opening(exported: Path, name: str, data: bytes) -> None:
    tampered(exported, lambda parts: parts.update({name: data}))
    with pytest.raises(WorkspaceError, match=rf"is refused: {name} in it"):
        FileEnsemble(exported, CPU_DEVICE)


def giant(parts: Parts, **facts: Any) -> None:
    set_weights(parts, "elbow", load(parts["members/elbow.safetensors"]), **facts)


def nan(parts: Parts) -> None:
    tensors = load(parts["members/elbow.safetensors"])
    tensors["head.bias"] = torch.tensor([0.0, float("nan")])
    set_weights(parts, "elbow", tensors)


def one_less(parts: Parts) -> None:
    tensors = load(parts["members/elbow.safetensors"])
    tensors.pop("head.bias")
    set_weights(parts, "elbow", tensors)


def other_type(parts: Parts) -> None:
    tensors = load(parts["members/elbow.safetensors"])
    set_weights(parts, "elbow", {**tensors, "head.bias": tensors["head.bias"].double()})


def no_weights(parts: Parts, data: bytes) -> None:
    set_weights(parts, "elbow", {"x": torch.zeros(1)})
    parts["members/elbow.safetensors"] = data
    digest = hashlib.sha256(data).hexdigest()
    weights = {"members/elbow.safetensors": digest}
    in_json("operating.json", lambda values: values["models"]["calibrated"]["weights"].update(weights))(parts)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(nan, id="a weight that is not a number"),
        pytest.param(one_less, id="a tensor too few"),
        pytest.param(other_type, id="a tensor of another type"),
        pytest.param(lambda parts: giant(parts, width=3.0), id="another width than the manifest's"),
        pytest.param(lambda parts: giant(parts, learner="vgg"), id="another learner than the manifest's"),
        pytest.param(lambda parts: no_weights(parts, b""), id="nothing"),
        pytest.param(lambda parts: no_weights(parts, b"\xff" * 100), id="a header without end"),
        pytest.param(lambda parts: no_weights(parts, b"\x02" + b"\0" * 7 + b"{}"), id="no metadata"),
        pytest.param(lambda parts: no_weights(parts, b"\x04" + b"\0" * 7 + b"null"), id="null"),
        pytest.param(
            lambda parts: no_weights(parts, (2**20).to_bytes(8, "little") + b"[" * 2**20), id="a nested header"
        ),
        pytest.param(lambda parts: no_weights(parts, b"\x80\x04K\x01."), id="a pickle"),
    ],
)
def test_weights_that_are_not_the_members_are_refused_before_a_net_is_built(
    exported: Path, change: Callable[[Parts], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered(exported, change)
    ensemble = FileEnsemble(exported, CPU_DEVICE)
    monkeypatch.setattr(weights, "create", only_skeletons)
    with pytest.raises(WorkspaceError, match=r"is refused: members/elbow\.safetensors in it does not hold") as caught:
        ensemble.member("elbow").net()
    assert "\n" not in str(caught.value)


def only_skeletons(*rest: Any, **more: Any) -> Any:
    net = create(*rest, **more)
    assert next(net.parameters()).is_meta, "a net was built"
    return net


def test_a_giant_net_with_small_weights_takes_no_memory(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest convnet with the flatten head at the largest size would take 1,500 GiB."""
    old, _ = parts_of(exported)
    net = replace(old.groups["elbow"], learner="convnet", head="fc", width=16.0, size=4096)
    facts = {"learner": "convnet", "head": "fc", "width": 16.0, "size": 4096}

    def change(parts: Parts) -> None:
        giant(parts, **facts)
        in_json("roster.json", lambda values: values["groups"]["elbow"].update(learner="convnet"))(parts)

    tampered(exported, change, groups={**old.groups, "elbow": net})
    monkeypatch.setattr(weights, "create", only_skeletons)
    with pytest.raises(WorkspaceError, match="tensors are missing, too many or of another form"):
        FileEnsemble(exported, CPU_DEVICE).member("elbow").net()


def test_sizes_that_a_net_cannot_take_are_refused(exported: Path) -> None:
    old, _ = parts_of(exported)
    net = replace(old.groups["elbow"], size=8)
    tampered(exported, lambda parts: giant(parts, size=8), groups={**old.groups, "elbow": net})
    with pytest.raises(WorkspaceError, match="does not hold the weights of its net"):
        FileEnsemble(exported, CPU_DEVICE).member("elbow").net()


def test_a_recogniser_that_is_none_or_of_other_weights_is_refused(exported: Path) -> None:
    sound = exported.read_bytes()
    tampered(exported, lambda parts: parts.update({"recogniser.safetensors": b"none"}))
    with pytest.raises(WorkspaceError, match=r"is refused: recogniser\.safetensors in it"):
        FileEnsemble(exported, CPU_DEVICE).recogniser()
    exported.write_bytes(sound)
    learner = open_bundle(exported).manifest.files[4].name
    assert learner.startswith("learners/")
    tampered(exported, lambda parts: parts.update({learner: parts[learner] + b" "}))
    with pytest.raises(WorkspaceError, match="is about other groups or weights"):
        FileEnsemble(exported, CPU_DEVICE).recogniser()
