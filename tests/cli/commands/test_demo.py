"""`murace demo`: a newcomer without data sees everything, in minutes."""

import json
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from murace.cli.commands import demo
from murace.cli.display.console import ConsoleReporter
from murace.config import Machine, Recipe
from murace.system.device import has_native_bf16
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, PYTHON, answered, done, environment, refused

STEPS = ["sample", "prepare", "train", "train", "train", "calibrate", "finetune", "evaluate", "cam"]
MINUTES, LEAST_AUC = 6, 0.80


def test_the_demo_checks_its_words_before_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "_chain", pytest.fail)
    assert "--seed" in refused(2, "demo", "--seed", "-1")
    assert "--threads" in refused(2, "demo", "--threads", "0")
    assert "--gpu 99" in refused(5, "demo", "--gpu", "99")
    assert list(tmp_path.iterdir()) == []


def test_a_small_demo_goes_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 on every machine: all other chains here are in fp32, whatever the machine has."""
    monkeypatch.setattr("murace.system.device.has_native_bf16", lambda device: True)
    monkeypatch.setattr(demo, "STUDIES", 10)
    monkeypatch.setattr(demo, "SIZE", 64)
    monkeypatch.setattr(demo, "WIDTH", 0.1)
    monkeypatch.setattr(demo, "RECIPES", dict.fromkeys(demo.RECIPES, (1, 16, 0.001)))
    monkeypatch.setattr(demo, "MEMBER_EPOCHS", 1)
    words = ("demo", tmp_path / "a demo", *CPU, "--precision", "bf16")
    result = done(*words)
    assert "0.1 of the paper's width" in result.stderr.splitlines()[0]
    here = f"-w '{tmp_path / 'a demo' / 'workspace'}'"
    typed_again = [line for line in result.stderr.splitlines() if line.startswith("$ murace ")]
    assert [line.split()[2] for line in typed_again] == STEPS
    assert all(line.endswith(here) for line in typed_again[1:])
    assert f"report: {tmp_path / 'a demo' / 'workspace' / 'evaluate' / 'report.html'}\n" in result.stdout
    assert len(list((tmp_path / "a demo" / "overlays").glob("*/study.json"))) == demo.SHOWN
    root = Workspace(tmp_path / "a demo" / "workspace").root
    nets = [*root.glob("train/*/step.json"), *root.glob("finetune/*/step.json")]
    assert len(nets) > 3
    assert {json.loads(path.read_text())["info"]["precision"] for path in nets} == {"bf16"}
    again = answered(*words)
    assert Path(again["report"]).is_file()


def test_a_demo_killed_while_it_draws_draws_again_and_shows_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(Exception):  # noqa: N818
        """Nothing after the drawing matters here."""

    def stop(*rest: object, **more: object) -> None:
        raise Enough

    monkeypatch.setattr(demo, "STUDIES", 10)
    monkeypatch.setattr("murace.steps.prepare.run", stop)
    sample = tmp_path / "demo" / "sample"
    (sample / ".unfinished" / "train").mkdir(parents=True)
    console = ConsoleReporter(quiet=False, as_json=False)
    with pytest.raises(Enough):
        demo._chain(
            console, tmp_path / "demo", Workspace(tmp_path / "demo" / "workspace"), Machine(gpu="cpu"), Recipe(seed=3)
        )
    assert (sample / "truth.csv").is_file()
    assert not (sample / ".unfinished").exists()
    typed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("$ ")]
    assert len(typed) == 2
    assert all("--seed 3" in line for line in typed)


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path) -> None:
    """On a quiet machine with two cores; the time is promised where bf16 is native."""
    began = time.monotonic()
    command = [*PYTHON, "demo", str(tmp_path / "demo"), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(OMP_NUM_THREADS="2"))
    seconds = time.monotonic() - began
    assert ended.returncode == 0, ended.stderr
    told, said = json.loads(ended.stdout), ended.stderr.splitlines()
    assert "synthetic" in said[0]
    assert "0.25 of the paper's width" in said[0]
    assert [line.split()[2] for line in said if line.startswith("$ murace ")] == STEPS
    root = tmp_path / "demo" / "workspace"
    assert {step["state"] for step in answered("status", "-w", root)["steps"]} == {"done"}
    report = Path(told["report"]).read_text()
    assert "Synthetic data" in report
    assert list(Path(told["overlays"]).glob("*/*.png"))
    scores = pd.read_csv(root / "evaluate" / "scores.csv")
    row = scores.query("model == 'calibrated' and level == 'study' and group == 'overall' and metric == 'auc'")
    assert row["value"].item() >= LEAST_AUC
    assert seconds < 60 * MINUTES or not has_native_bf16(torch.device("cpu")), f"{seconds:.0f} s"
