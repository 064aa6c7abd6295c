"""Nothing is written through a symbolic link that stands where a file of murace's goes: what it leads to stays."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from murace.data.ingest import pixelfile
from murace.data.ingest.chunks import ReadJob, open_array
from murace.errors import MachineError
from murace.steps.export import onnx_folder
from murace.system.progress import Reporter
from murace.workspace import writing
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU, MEMBER, NARROW, done, typed
from tests.data.files import make_manifest, picture, png
from tests.steps.export.test_onnx import ensemble


def planted(folder: Path, outside: Path, *, names: list[str] | None = None) -> dict[Path, bytes]:
    """Replace every file in `folder` by a link to a copy of it outside; the copies with their bytes."""
    outside.mkdir(parents=True, exist_ok=True)
    victims = {}
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        if names is None or path.name in names:
            victim = outside / f"{number}-{path.name}"
            shutil.move(path, victim)
            path.symlink_to(victim)
            victims[victim] = victim.read_bytes()
    return victims


def touched(victims: dict[Path, bytes]) -> list[str]:
    return [path.name for path, data in victims.items() if not path.is_file() or path.read_bytes() != data]


@pytest.mark.crash
def test_no_step_writes_through_a_link_in_its_folder(finished: Workspace, source: Path, tmp_path: Path) -> None:
    """Every file of a finished workspace is a link; every step does its work again."""
    here, study = ("-w", finished.root), source / "test" / "elbow" / "p1" / "s1"
    drawing = ("cam", study, "--group", "elbow", "--out", tmp_path / "out", *CPU, *here)
    asking = ("predict", study, "--group", "elbow", "--out", tmp_path / "p.csv", *CPU, *here)
    handing = ("export", tmp_path / "e.murace", *here)
    for line in (drawing, asking, handing):
        done(*line)
    victims = planted(finished.root, tmp_path / "victims")
    victims |= planted(tmp_path / "out", tmp_path / "drawn")
    victims |= planted(record := tmp_path / "p.csv.record", tmp_path / "recorded")
    for name in ("p.csv", "p-views.csv", "e.murace"):
        shutil.move(tmp_path / name, tmp_path / "victims" / name)
        (tmp_path / name).symlink_to(tmp_path / "victims" / name)
        victims[tmp_path / "victims" / name] = (tmp_path / name).read_bytes()
    locks = [path for folder in (finished.root, tmp_path / "out", record) for path in folder.rglob(".lock")]
    assert len(victims) > 100
    assert {typed(*line).exit_code for line in (("train", *NARROW, *here), drawing, asking)} <= {
        2,
        5,
    }  # the lock's link
    for lock in locks:
        lock.unlink()
    for line in (
        ("train", "--arch", "all", *NARROW, "--epochs", 1, "--fresh", *here),
        ("calibrate", "--fresh", *CPU, *here),
        ("finetune", *MEMBER, "--fresh", *here),
        ("evaluate", "--fresh", *CPU, *here),
        (*drawing, "--force"),
        (*asking, "--force"),
        handing,
    ):
        said = typed(*line)
        assert said.exit_code in (0, 2), said.output
        assert touched(victims) == [], line[0]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return make_manifest(tmp_path / "source")


def test_prepare_writes_through_no_link(manifest: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    line = ("prepare", manifest, "--size", 16, "--jobs", 1, "-w", workspace, "--preview", tmp_path / "figure.png")
    done(*line)
    (workspace / "prepare" / ".lock").unlink()
    victims = planted(workspace, tmp_path / "victims") | planted(tmp_path, tmp_path / "drawn", names=["figure.png"])
    done(*line, "--force")
    assert len(victims) > 5
    assert touched(victims) == []
    assert not (workspace / "prepare" / "pixels.npy").is_symlink()


def test_an_unfinished_array_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim.npy"
    np.save(victim, np.ones((2, 4, 4), np.uint8))
    before, link = victim.read_bytes(), tmp_path / "pixels.npy"
    link.symlink_to(victim)
    with pytest.raises(MachineError, match=r"cannot write .*pixels.npy"):
        pixelfile.create(link, 2, 4)
    with (
        pytest.raises(MachineError, match=r"cannot write .*pixels.npy"),
        open_array(ReadJob("", str(link), "", 128, 4, "pad")),
    ):
        pass
    assert victim.read_bytes() == before


def test_a_lock_or_a_journal_that_is_a_link_is_not_opened(tmp_path: Path) -> None:
    from murace.inference.studies.journal import journal

    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("mine")
    folder.mkdir()
    for name in (".lock", "0.jsonl"):
        (folder / name).symlink_to(victim)
    with pytest.raises(MachineError, match="cannot write"), writing(folder):
        pass
    with pytest.raises(MachineError, match="cannot write"), journal(folder, 0):
        pass
    assert victim.read_text() == "mine"


def test_scratch_that_is_a_link_to_a_folder_is_neither_emptied_nor_filled(
    manifest: Path, finished: Workspace, tmp_path: Path
) -> None:
    """Removing never follows a link; a command that cannot clear its scratch says so, or leaves it alone."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept.txt").write_text("mine")
    places = {
        tmp_path / "w" / "prepare" / "partial": ("prepare", manifest, "--size", 16, "-w", tmp_path / "w"),
        tmp_path / "drawn" / ".unfinished": ("sample", tmp_path / "drawn", "--studies", 10),
        finished.train("convnet").checkpoint: ("train", *NARROW, "--epochs", 1, "--fresh", "-w", finished.root),
        finished.evaluate.partial: ("evaluate", "--fresh", *CPU, "-w", finished.root),
    }
    for place, line in places.items():
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(victim)
        said = typed(*line)
        assert said.exit_code in (0, 5), said.output
        assert "Traceback" not in said.output
        assert {path.name: path.read_text() for path in victim.iterdir()} == {"kept.txt": "mine"}, line[0]


def test_unfinished_graphs_are_not_put_where_a_link_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_folder, "_write_members", lambda *rest: pytest.fail("they were written"))
    (tmp_path / "victim").mkdir()
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / ".unfinished").symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError, match="cannot write"):
        onnx_folder.convert_all(tmp_path / "onnx", ensemble(), reporter=Reporter())
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_source_does_not_lead_out_of_itself(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "source")
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(picture(99)))
    (tmp_path / "source" / "image003.png").unlink()
    (tmp_path / "source" / "image003.png").symlink_to(secret)
    done("prepare", manifest, "--size", 16, "-w", tmp_path / "w", "--accept-rejects", 1)
    assert "image003.png,a link that leads out of the source" in (tmp_path / "w/prepare/rejected.csv").read_text()
