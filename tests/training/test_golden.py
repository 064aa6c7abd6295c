"""Row D1: the losses of 32 steps as they were when golden.json was written; another trace is another method.

In float64, for in float32 it would be a processor's business: the gradient of a bias before batch norm is nothing but
rounding, in float32 of the size of Adam's epsilon, and Adam makes whole steps of it; after ten epochs the losses of two
processors differed by 2 %.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from murace.config import Machine
from murace.data.store import read_frame
from murace.nets.weights import load_model
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.workshop import tiny_config

GOLDEN = Path(__file__).parent / "golden.json"
COLUMNS = ["train_loss", "validation_loss"]
EPOCHS = 4
# Kernels for AVX-512, for AVX2 and for neither differed by 1.5e-10 at most in these epochs, by 4e-8 in twelve. Other
# methods differ by 3e-5 to 1e-2: Adam's betas 0.899 for 0.9 or 0.9989 for 0.999, rotations by 30.01 degrees.
CLOSE = 1e-6

pytestmark = [pytest.mark.crash, pytest.mark.kernels]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("learner", ["convnet", "resnet", "densenet"])
def test_the_losses_are_those_of_the_golden_trace(prepared: Workspace, learner: str) -> None:
    wanted = json.loads(GOLDEN.read_text())[learner]
    config = tiny_config(learner, epochs=EPOCHS, lr=1e-4)
    train.run(prepared, config, machine=Machine(gpu="cpu", threads=1), rerun=Rerun(), reporter=Reporter())
    folder = prepared.train(learner)
    assert {parameter.dtype for parameter in load_model(folder.model).parameters()} == {torch.float64}
    np.testing.assert_allclose(read_frame(folder.history)[COLUMNS], wanted, rtol=CLOSE)
