"""What is asked of the disk before a training is what it takes at its height."""

import os
from pathlib import Path

import pytest
import torch

from murace.errors import MachineError
from murace.nets import create
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.training import Progress
from murace.training.resources import SMALL, require_room, training_bytes
from murace.workspace import Rerun
from tests.workshop import CPU, tiny_config, tiny_workspace


def always_better(progress: Progress, value: float, loss: float | None, epoch: int) -> bool:
    """Then each state that is kept has best weights of its own."""
    progress.best_epoch, progress.best_score, progress.best_loss = epoch, value, loss
    return True


def test_what_is_asked_for_is_what_a_training_takes_at_its_height(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at before each rename, when the old file and the new one are both there."""
    workspace, real, heights = tiny_workspace(tmp_path / "a", groups=("elbow",)), os.replace, [0]
    folder = workspace.train("convnet").folder

    def replace(*given: object) -> None:
        heights.append(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()))
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr("murace.training.epoch._update_best", always_better)
    train.run(workspace, tiny_config(epochs=5), machine=CPU, rerun=Rerun(), reporter=Reporter())
    with torch.device("meta"):
        need = training_bytes(create("convnet", width=0.1, size=64))
    assert max(heights) < need
    assert max(heights) > 0.7 * (need - SMALL)


def test_what_stands_there_already_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        net = create("convnet", width=0.1, size=64)
    need, states = training_bytes(net), tmp_path / "convnet" / "checkpoint"
    monkeypatch.setattr("murace.system.disk.free_space", lambda _: need - 1000)
    with pytest.raises(MachineError, match="the checkpoints of this training need"):
        require_room(net, states)
    states.mkdir(parents=True)
    (states / "000001-000000.safetensors").write_bytes(bytes(1000))
    require_room(net, states)
