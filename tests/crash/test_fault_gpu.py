"""What only a GPU shows: after one of its own errors no call to it works, and the process must still end well."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from murace.workspace.paths import Workspace
from tests.cli.typed import done, environment

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]

# In the second epoch a kernel reads past the end of a table, which CUDA answers with a device-side assert.
BREAKS = """
import torch
from murace.training.step import Stepper

real = Stepper.begin

def begin(stepper, epoch, done):
    real(stepper, epoch, done)
    if epoch == 2:
        torch.zeros(2, device=stepper.position.device)[torch.full((1,), 5, device=stepper.position.device)]

Stepper.begin = begin
from murace.__main__ import main
main()
"""
WORDS = ("train", "--arch", "convnet", "--gpu", "0", "--width", "0.1", "--batch-size", "8", "--epochs", "3")


def test_a_real_failure_of_a_gpu_ends_in_one_line_and_the_epoch_before_it_is_kept(prepared: Workspace) -> None:
    given = [*WORDS, "-w", str(prepared.root)]
    command = [sys.executable, "-W", "error", "-c", BREAKS, *given]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=300)
    assert ended.returncode == 5, ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: the GPU was lost or broke down (CUDA error: device-side assert triggered)"), line
    states: list[Path] = sorted(prepared.train("convnet").checkpoint.glob("0*.json"))
    assert [path.name for path in states] == ["000001-000000.json"]
    assert "resuming after epoch 1" in done(*given).stderr
