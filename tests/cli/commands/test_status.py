"""`murace status`: how far the chain is, why it is not further, and what to type."""

from pathlib import Path

import pytest

from murace.workspace import begin
from murace.workspace.commands import command
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, NARROW, answered, done, typed


def states(root: Path) -> dict[str, str]:
    return {step["step"]: step["state"] for step in answered("status", "-w", root)["steps"]}


def next_of(root: Path) -> str | None:
    command = answered("status", "-w", root)["next"]
    return command and command.removesuffix(f" -w {root}")


def test_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(states(tmp_path / "work").values()) == {"missing"}
    assert next_of(tmp_path / "work") == "murace prepare SOURCE"
    assert done("status").stderr == "next: murace prepare SOURCE\n"
    assert list(tmp_path.iterdir()) == []


def test_a_step_is_done_begun_or_not(prepared: Workspace) -> None:
    assert next_of(prepared.root) == "murace train --arch all"
    done("train", "--arch", "resnet", *NARROW, "--epochs", "1", "-w", prepared.root)
    begin(prepared.train("convnet").folder, "train", {}, {})
    assert states(prepared.root) == {
        "prepare": "done",
        "train/convnet": "partial",
        "train/resnet": "done",
        "train/densenet": "missing",
        "calibrate": "missing",
        "evaluate": "missing",
    }
    assert next_of(prepared.root) == "murace train --arch convnet"
    table = done("status", "-w", prepared.root)
    (line,) = [line for line in table.stdout.splitlines() if "train/convnet" in line]
    assert line.split() == ["train/convnet", "partial", "a", "run", "was", "interrupted"]
    assert table.stderr == f"next: murace train --arch convnet -w {prepared.root}\n"


def test_everything_is_done(finished: Workspace) -> None:
    assert set(states(finished.root).values()) == {"done"}
    assert next_of(finished.root) is None
    said = f"everything is done; to read new studies: murace predict STUDIES -w {finished.root}\n"
    assert done("status", "-w", finished.root).stderr == said


def test_what_stands_on_a_change_is_stale_and_says_so(finished: Workspace) -> None:
    done("train", "--arch", "resnet", *NARROW, "--epochs", "1", "--seed", "1", "-w", finished.root)
    found = states(finished.root)
    assert (found["train/resnet"], found["calibrate"], found["evaluate"]) == ("done", "stale", "stale")
    table = done("status", "-w", finished.root)
    (line,) = [line for line in table.stdout.splitlines() if line.split()[:1] == ["calibrate"]]
    assert "train/resnet/model.safetensors has changed" in line
    assert next_of(finished.root) == "murace calibrate"
    refused = typed("evaluate", *CPU, "-w", finished.root)
    assert refused.exit_code == 4
    assert "calibrate" in refused.stderr
    assert "stale" in refused.stderr
    assert refused.stderr.endswith(f"Run: murace calibrate -w {finished.root}\n")


def test_a_file_that_has_gone_is_damage(finished: Workspace) -> None:
    finished.finetune("wrist").model.unlink()
    assert states(finished.root)["finetune/wrist"] == "damaged"
    assert next_of(finished.root) == command(finished, "finetune/wrist")
