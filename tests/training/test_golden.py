"""Row D1: the losses of 96 steps as they were when this file was written; another trace is another method."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from murace.config import Machine
from murace.data.store import read_frame
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.workshop import tiny_config

GOLDEN = Path(__file__).parent / "golden.json"
pytestmark = pytest.mark.crash
COLUMNS = ["train_loss", "validation_loss"]


def here() -> dict[str, str]:
    """What may change last bits: elsewhere the trace agrees but for rounding."""
    return {"torch": torch.__version__.partition("+")[0], "cpu": torch.backends.cpu.get_cpu_capability()}


@pytest.mark.parametrize("learner", ["convnet", "resnet", "densenet"])
def test_the_losses_are_those_of_the_golden_trace(prepared: Workspace, learner: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    machine = Machine(gpu="cpu", threads=1)
    train.run(prepared, tiny_config(learner, epochs=12, lr=1e-4), machine=machine, rerun=Rerun(), reporter=Reporter())
    history = read_frame(prepared.train(learner).history)
    wanted = pd.DataFrame(golden["losses"][learner], columns=COLUMNS)
    assert len(history) == 12
    if golden["made"] == here():
        assert history[COLUMNS].to_numpy().tolist() == wanted.to_numpy().tolist()
    else:
        pd.testing.assert_frame_equal(history[COLUMNS], wanted, rtol=0.02)
