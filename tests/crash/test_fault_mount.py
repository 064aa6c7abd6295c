"""A disk that is really full, and one that is really read-only: small file systems in memory, mounted for a test."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from murace.system.files import sha256
from murace.training.resources import training_bytes
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, MEMBER, NARROW, PYTHON, done, environment, error_lines, refused, typed
from tests.workshop import tiny_workspace

pytestmark = pytest.mark.crash

TRAIN = ("train", "--arch", "convnet", *NARROW)


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    """A file system of that size at `place`; skips where none may be mounted."""
    place.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here (it takes root)")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def states(workspace: Workspace) -> dict[str, str]:
    return {path.name: sha256(path) for path in workspace.train("convnet").checkpoint.glob("*")}


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Workspace]:
    """A prepared workspace on a disk of its own."""
    with mounted(tmp_path / "disk", "12m") as disk:
        yield tiny_workspace(disk / "workspace")


def fill(disk: Path, free: int) -> Path:
    """Leave only so many bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - free)
    return ballast


def test_a_disk_that_fills_up_during_a_training(full: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the room that was there at the start."""
    words, disk = (*TRAIN, "-w", str(full.root)), full.root.parent
    done(*words, "--epochs", 2)
    before = states(full)
    ballast = fill(disk, 150_000)  # less than a state takes
    monkeypatch.setattr("murace.training.job.require_room", lambda *_: None)
    told = refused(5, *words, "--epochs", 4)
    pattern = r"disk full while writing (\S+): [\d.]+ [kM]B are needed and [\d.]+ ([kM]B|bytes) are free on (\S+); (.*)"
    found = re.fullmatch(pattern, told)
    assert found, told
    assert Path(found[1]).is_relative_to(full.train("convnet").folder)
    assert found[3] == str(disk)
    assert found[4] == "what stood there before is intact. Free some space and run the same command again"
    now = states(full)
    assert {name: now.get(name) for name in before} == before
    assert before.keys() == now.keys()
    monkeypatch.undo()
    ballast.unlink()
    result = done(*words, "--epochs", 4)
    assert "resuming after epoch 2" in result.stderr
    plain = tiny_workspace(full.root.parent.parent / "plain")
    done(*TRAIN, "-w", str(plain.root), "--epochs", 4)
    assert sha256(plain.train("convnet").model) == sha256(full.train("convnet").model)


def test_the_real_command_on_a_full_disk(full: Workspace) -> None:
    """Before anything is computed it says what is needed and what there is; with room it trains."""
    command = [*PYTHON, *map(str, TRAIN), "--epochs", "1", "-w", str(full.root)]
    ballast = fill(full.root.parent, 700_000)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 5, ended.stderr
    pattern = r"the checkpoints of this training need [\d.]+ MB in (\S+) and 0\.7 MB are free on (\S+): make room, .*"
    (line,) = ended.stderr.splitlines()
    found = re.fullmatch(pattern, line.removeprefix("error: "))
    assert found, line
    assert found[1] == str(full.train("convnet").folder)
    assert found[2] == str(full.root.parent)
    assert not full.train("convnet").folder.exists()
    ballast.unlink()
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("learner", ["convnet", "resnet", "densenet"])
def test_what_is_asked_for_is_what_it_takes(learner: str, tmp_path: Path) -> None:
    """With as much room as is asked for a training ends; with a byte less it does not begin."""
    import torch

    from murace.nets import create

    with torch.device("meta"):
        need = training_bytes(create(learner, width=0.1, size=64))
    words = ("train", "--arch", learner, *NARROW, "--epochs", 4)
    with mounted(tmp_path / "disk", "40m") as disk:
        workspace = tiny_workspace(disk / "workspace", groups=("elbow",))
        ballast = fill(disk, need - 4096)
        assert "the checkpoints of this training need" in refused(5, *words, "-w", workspace.root)
        ballast.unlink()
        fill(disk, need + 8192)  # whole pages, and the folders
        done(*words, "-w", workspace.root)


READERS = ("status", "score")
WRITERS = {
    "prepare": ("prepare", "SOURCE", "--jobs", 1, "--size", 64),
    "train": (*TRAIN, "--epochs", 3),
    "calibrate": ("calibrate", *CPU),
    "finetune": ("finetune", *MEMBER, "--groups", "elbow", "--seed", 1),
    "evaluate": ("evaluate", *CPU),
    "cam": ("cam", "VIEW", *CPU, "--group", "elbow", "--out", "WORKSPACE/maps"),
    "predict": ("predict", "VIEW", *CPU, "--out", "WORKSPACE/table.csv"),
    "export": ("export", "WORKSPACE/handed.murace"),
}


@pytest.fixture
def read_only(finished: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    with mounted(tmp_path / "disk", "60m") as disk:
        shutil.copytree(finished.root, disk / "workspace")
        if subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True, check=False).returncode:
            pytest.skip("a file system cannot be made read-only here")
        yield Workspace(disk / "workspace")


def test_on_a_read_only_disk_every_step_refuses_before_it_computes(
    read_only: Workspace, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: object, **__: object) -> None:
        raise AssertionError("it computed first")

    computing = (
        "training.run.run",
        "steps.evaluate.step.predict_all",
        "steps.calibrate.step._choose",
        "data.ingest.read_all.run_chunks",
        "steps.train.step.lead",
        "steps.finetune.step.lead",
    )
    for name in (*computing, "steps.cam.draw_all", "steps.predict._read"):
        monkeypatch.setattr(f"murace.{name}", compute)
    here = {"SOURCE": str(source), "VIEW": str(source / "test" / "elbow" / "p0")}
    for words in WRITERS.values():
        given = [here.get(str(word), str(word).replace("WORKSPACE", str(read_only.root))) for word in words]
        told = refused(5, *given, "-w", read_only.root)
        assert re.fullmatch(r"cannot write \S+: Read-only file system(; what stood there before is intact)?", told), (
            told
        )


def test_readers_work_on_a_read_only_disk(read_only: Workspace) -> None:
    assert "done" in done("status", "-w", read_only.root).stdout
    done("score", read_only.evaluate.predictions, "--resamples", 100)
    assert "is up to date" in done("finetune", *MEMBER, "-w", read_only.root).stdout
    result = typed("train", "--arch", "convnet", *NARROW, "-w", read_only.root)
    assert not [line for line in error_lines(result) if "Traceback" in line]
