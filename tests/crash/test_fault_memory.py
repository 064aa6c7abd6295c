"""Memory that runs out and a GPU that is lost, in the middle of each command: exit 5, and the same command finishes.

There is no GPU here: its errors are raised where a net computes, as torch raises them. They stay: after one of them no
call to the GPU works any more.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, MEMBER, NARROW, done, error_lines, files_in, typed

pytestmark = pytest.mark.crash

ERRORS = {
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    "python": MemoryError(),
    "gpu": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation"),
    "lost": torch.AcceleratorError(
        "CUDA error: unspecified launch failure\nCUDA kernel errors might be reported later"
    ),
    "ecc": RuntimeError("CUDA error: uncorrectable ECC error encountered\nCompile with TORCH_USE_CUDA_DSA"),
}
HERE = ("-w", "workspace")
COMMANDS: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "train": (
        ("train", "--arch", "convnet", *NARROW, "--epochs", 3, "--seed", 1, *HERE),
        ("workspace/train/convnet/model.safetensors", "workspace/train/convnet/predictions.csv"),
    ),
    "calibrate": (("calibrate", *CPU, "--force", *HERE), ("workspace/calibrate/recogniser.safetensors",)),
    "finetune": (
        ("finetune", *MEMBER, "--groups", "elbow", "--seed", 1, *HERE),
        ("workspace/finetune/elbow/model.safetensors",),
    ),
    "evaluate": (
        ("evaluate", *CPU, "--fresh", "--resamples", 100, *HERE),
        ("workspace/evaluate/predictions.csv",),
    ),
    "cam": (("cam", "VIEWS", *CPU, "--group", "elbow", "--out", "maps", *HERE), ("maps/index.html",)),
    "predict": (("predict", "VIEWS", *CPU, "--out", "table.csv", *HERE), ("table.csv",)),
}


class Broken:
    """Convolutions that fail from the n-th on, with an error that stays."""

    def __init__(self, at: int | None, error: Exception | None) -> None:
        self.at, self.error, self.count = at, error, 0
        self.real: Callable[..., Any] = torch.nn.Conv2d.forward

    def forward(self, layer: torch.nn.Conv2d, images: torch.Tensor) -> Any:
        self.count += 1
        if self.at is not None and self.error is not None and self.count > self.at and not images.is_meta:
            raise self.error.with_traceback(None)
        return self.real(layer, images)


def run(words: tuple[object, ...], broken: Broken) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Conv2d, "forward", lambda layer, images: broken.forward(layer, images))
        return typed(*words, "--json")


@pytest.fixture(scope="module")
def undisturbed(
    _finished: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, dict[str, bytes]]]:
    """For each command how many convolutions it computes, and what it leaves; made when first asked for."""
    return {}


@pytest.fixture
def place(_finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(_finished.root, tmp_path / "workspace")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "share"), [("cpu", 0.0), ("gpu", 0.6), ("python", 0.6), ("lost", 0.0), ("ecc", 0.6)], ids=str
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_machine_gives_up(
    name: str, kind: str, share: float, place: Path, source: Path, undisturbed: dict[str, Any]
) -> None:
    if name == "evaluate" and kind in ("cpu", "python"):
        pytest.skip("the slowest of them is asked about a GPU alone")
    words, same = COMMANDS[name]
    words = tuple(source / "test" / "elbow" / "p0" if word == "VIEWS" else word for word in words)
    if name not in undisturbed:
        counting = Broken(None, None)
        assert run(words, counting).exit_code == 0
        undisturbed[name] = counting.count, {path: (place / path).read_bytes() for path in same}
        shutil.rmtree(place / "workspace")
        shutil.rmtree(place / "maps", ignore_errors=True)
        shutil.rmtree(place / "table.csv.record", ignore_errors=True)
        for path in place.glob("*.csv"):
            path.unlink()
        shutil.copytree(source.parent / "workspace", place / "workspace")
    count, wanted = undisturbed[name]
    others = {path: data for path, data in files_in(place / "workspace").items() if not path.startswith(_own(name))}
    result = run(words, Broken(round(share * count), ERRORS[kind]))
    _check(result, name, kind, share)
    now = files_in(place / "workspace")
    assert {path: now.get(path) for path in others} == others
    again = typed(*words, "--json")
    assert again.exit_code == 0, again.output
    for path, data in wanted.items():
        if path != "table.csv":  # it holds the seconds
            assert (place / path).read_bytes() == data, path


def _own(name: str) -> str:
    return {"train": "train/convnet", "finetune": "finetune/elbow"}.get(name, name)


def _check(result: Any, name: str, kind: str, share: float) -> None:
    assert result.exit_code == 5, f"{result.output} {result.exception!r}"
    (line,) = error_lines(result)
    assert json.loads(result.stdout)["error"] == {"kind": "MachineError", "message": line, "exit_code": 5}
    assert "documentation" not in line
    assert "saved" in line or "no epoch was finished" in line
    if kind in ("lost", "ecc"):
        assert line.startswith("the GPU was lost or broke down (CUDA error: u"), line
        assert "run the same command again" in line.lower()
    elif name in ("train", "finetune"):
        assert line.startswith("out of memory with --batch-size 8; "), line
        assert ("the finished epochs are saved" in line) == (name == "train" and share > 0), line
    else:
        assert line.startswith("out of memory ("), line
        assert "run the same command again" in line.lower()


@pytest.mark.parametrize("name", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("kind", ["cpu", "lost"])
def test_weights_that_find_no_memory_are_not_called_damaged(
    name: str, kind: str, place: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To start over because a file is said to be damaged would cost the training."""
    words, _ = COMMANDS[name]
    words = tuple(source / "test" / "elbow" / "p0" if word == "VIEWS" else word for word in words)
    if name == "train":
        words = ("train", "--arch", "convnet", *NARROW, "--epochs", 3, *HERE)  # one more: from the saved state
    before = files_in(place / "workspace" / "train")

    def load(*_: object, **__: object) -> None:
        raise ERRORS[kind]

    monkeypatch.setattr("murace.nets.learner.Learner.load_state_dict", load)
    result = typed(*words, "--json")
    assert result.exit_code == 5, result.output
    (line,) = error_lines(result)
    assert "--fresh" not in line
    assert "damaged" not in line
    now = files_in(place / "workspace" / "train")
    assert {path: now.get(path) for path in before} == before
    monkeypatch.undo()
    monkeypatch.chdir(place)
    done(*words)
