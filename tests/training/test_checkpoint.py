import pickle
from pathlib import Path

import pytest
import torch

from murace.errors import WorkspaceError
from murace.nets import create
from murace.nets.weights import load_model, save_model
from murace.training.checkpoint import SavedState, flatten_adam, newest_state, restore_adam, save_state

FACTS = {"learner": "resnet", "width": 0.1, "head": "gap", "size": 64}


def test_a_model_comes_back_as_it_was_and_its_bytes_do_not_depend_on_layout(tmp_path: Path) -> None:
    net = create("resnet", width=0.1, size=64).eval()
    save_model(tmp_path / "a.safetensors", net.state_dict(), FACTS)
    image = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path / "a.safetensors")(image), net(image))
    net.to(memory_format=torch.channels_last)
    save_model(tmp_path / "b.safetensors", net.state_dict(), dict(reversed(FACTS.items())))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x00" * 64, pickle.dumps({"a": 1})])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WorkspaceError, match="does not hold a murace model"):
        load_model(tmp_path / "a.safetensors")


def test_a_model_of_another_form_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "a.safetensors", create("resnet", width=0.1, size=64).state_dict(), {**FACTS, "width": 0.2})
    with pytest.raises(WorkspaceError, match="does not hold a murace model"):
        load_model(tmp_path / "a.safetensors")


def put(folder: Path, epoch: int, best: Path | None = None) -> None:
    save_state(folder, {"x": torch.full((3,), epoch)}, {"epoch": epoch}, position=(epoch, 0), best=best)


def newest(folder: Path) -> SavedState:
    saved = newest_state(folder)
    assert saved is not None
    return saved


def test_two_states_are_kept_and_the_best_they_name(tmp_path: Path) -> None:
    for epoch in range(4):
        best = tmp_path / f"best-{min(epoch, 1)}.safetensors"
        best.write_bytes(b"weights")
        put(tmp_path, epoch, best)
    names = {path.name for path in tmp_path.iterdir()}
    kept = {"000002-000000", "000003-000000"}
    assert names == {f"{name}{end}" for name in kept for end in (".json", ".safetensors")} | {"best-1.safetensors"}
    saved = newest(tmp_path)
    assert saved.facts == {"epoch": 3}
    assert saved.load()["x"].tolist() == [3, 3, 3]
    assert saved.best_weights == tmp_path / "best-1.safetensors"


def test_a_state_without_its_record_does_not_exist(tmp_path: Path) -> None:
    put(tmp_path, 1)
    (tmp_path / "000002-000000.safetensors").write_bytes(b"killed before the record")
    (tmp_path / ".000002-000000.json.tmp.1.ab").write_text("{")
    assert newest(tmp_path).facts == {"epoch": 1}
    assert newest_state(tmp_path / "nowhere") is None


def test_damaged_best_weights_are_refused_too(tmp_path: Path) -> None:
    best = tmp_path / "best-1.safetensors"
    best.write_bytes(b"weights")
    put(tmp_path, 1, best)
    best.write_bytes(b"weighty")
    with pytest.raises(WorkspaceError, match=r"best-1.safetensors is missing or damaged.*--fresh"):
        newest(tmp_path).load()


def test_adams_moments_keep_the_strides_of_their_weights() -> None:
    """Fused Adam walks weights and moments by address: a moment in other strides would be another weight's."""

    def step(net: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        net(torch.ones(1, 8, 4, 4).contiguous(memory_format=torch.channels_last)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.manual_seed(0)
    net = torch.nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1, fused=True)
    step(net, optimizer)
    twin = torch.nn.Conv2d(8, 8, 3).to(memory_format=torch.channels_last)
    twin.load_state_dict(net.state_dict())
    other = torch.optim.Adam(twin.parameters(), lr=0.1, fused=True)
    saved = {name: tensor.clone().contiguous() for name, tensor in flatten_adam(optimizer).items()}
    restore_adam(other, saved)
    step(net, optimizer)
    step(twin, other)
    assert torch.equal(net.weight, twin.weight)
