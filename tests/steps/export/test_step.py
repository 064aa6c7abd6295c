import json
import zipfile
from pathlib import Path

import pytest

from murace.data.store import read_index
from murace.errors import MachineError, UsageError, WorkspaceError
from murace.inference.bundle.open import is_bundle
from murace.steps.export import onnx_graph, step
from murace.system.progress import Reporter
from murace.vocabulary import DISCLAIMER
from murace.workspace.paths import Workspace
from tests.workshop import CPU


def run(
    workspace: Workspace, file: Path | None = None, onnx: Path | None = None
) -> tuple[step.Packed | None, step.Converted | None]:
    return step.run(workspace, file, onnx, machine=CPU, reporter=Reporter())


def test_the_file_holds_the_ensemble_and_says_what_it_is(finished: Workspace, tmp_path: Path) -> None:
    packed = run(finished, tmp_path / "a.murace")[0]
    assert packed is not None
    assert not packed.skipped
    with zipfile.ZipFile(packed.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for group in ("elbow", "wrist"):
        assert members[f"members/{group}.safetensors"] == finished.finetune(group).model.read_bytes()
    assert members["MODEL_CARD.md"] == finished.evaluate.card.read_bytes()
    assert members["roster.json"] == finished.calibrate.roster.read_bytes()
    assert list(json.loads(members["operating.json"])["models"]) == ["calibrated"]
    manifest = json.loads(members["manifest.json"])
    assert manifest["disclaimer"] == DISCLAIMER
    assert manifest["data"] == {"patient_level_split": True, "synthetic": True}
    assert len(members) == 8


def test_the_bytes_depend_on_the_ensemble_alone(finished: Workspace, tmp_path: Path) -> None:
    run(finished, tmp_path / "a.murace")
    finished.root.rename(tmp_path / "elsewhere")
    run(Workspace(tmp_path / "elsewhere"), tmp_path / "b.murace")
    assert (tmp_path / "a.murace").read_bytes() == (tmp_path / "b.murace").read_bytes()


def test_nothing_tells_of_patients_or_of_this_machine(finished: Workspace, tmp_path: Path) -> None:
    packed = run(finished, tmp_path / "a.murace")[0]
    assert packed is not None
    data = packed.path.read_bytes()
    index = read_index(finished.prepare.index)
    ids = {*index["patient"], *index["study"], *index["path"]}
    for word in (*ids, str(tmp_path), str(Path.home()), "step.json", "pixels"):
        assert len(word) > 3
        assert word.encode() not in data


def test_a_second_run_has_nothing_to_do_until_the_file_is_damaged_or_old(finished: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.murace"
    first = run(finished, path)[0]
    stamp = path.stat().st_mtime_ns
    second = run(finished, path)[0]
    assert first is not None
    assert second is not None
    assert second.skipped
    assert second.sha256 == first.sha256
    assert path.stat().st_mtime_ns == stamp
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    third = run(finished, path)[0]
    assert third is not None
    assert not third.skipped
    assert third.sha256 == first.sha256


@pytest.mark.parametrize(
    ("gone", "command"),
    [
        ("evaluate/MODEL_CARD.md", "Run: murace evaluate"),
        ("evaluate/step.json", "Run: murace evaluate"),
        ("finetune/wrist/model.safetensors", "Run: murace finetune --groups wrist"),
        ("calibrate/recogniser.safetensors", "Run: murace calibrate"),
        ("prepare/step.json", "Run: murace prepare SOURCE"),
    ],
)
def test_a_chain_that_is_not_whole_is_refused_with_the_command(
    finished: Workspace, tmp_path: Path, gone: str, command: str
) -> None:
    (finished.root / gone).unlink()
    with pytest.raises(WorkspaceError, match=command):
        run(finished, tmp_path / "a.murace")
    assert not (tmp_path / "a.murace").exists()


def test_a_model_card_that_somebody_has_edited_is_not_handed_over(finished: Workspace, tmp_path: Path) -> None:
    card = finished.evaluate.card
    card.write_bytes(card.read_bytes().replace(b"not for diagnosis", b"now for diagnosis"))
    with pytest.raises(WorkspaceError, match=r"MODEL_CARD\.md is damaged.*Run: murace evaluate"):
        run(finished, tmp_path / "a.murace")


def test_foreign_files_are_left_alone(finished: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.murace"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="is not of murace export"):
        run(finished, path)
    assert path.read_bytes() == b"mine"
    for wrong in (tmp_path / "a.zip", tmp_path):
        with pytest.raises(UsageError, match=r"must end in \.murace"):
            run(finished, wrong)
    with pytest.raises(UsageError, match="name a FILE"):
        run(finished)


def test_the_extra_is_asked_for_before_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "PACKAGES", ("no_such_package",))
    with pytest.raises(MachineError, match="ONNX needs"):
        run(Workspace(tmp_path), onnx=tmp_path / "onnx")


def test_members_are_compared_on_test_pictures_of_their_group(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    seen = {}
    monkeypatch.setattr(step, "convert_all", lambda folder, ensemble, *, reporter: seen.update(ensemble=ensemble))
    run(finished, onnx=tmp_path / "onnx")
    index = read_index(finished.prepare.index)
    ensemble = seen["ensemble"]
    pixels = step.open_pixels(finished.prepare.pixels)
    mine = index[index["group"] == "elbow"]
    assert len(mine) > step.COMPARED // 2
    assert len(ensemble.images("elbow")) == min(step.COMPARED, len(mine))
    test = mine[mine["split"] == "test"]["row"]
    monkeypatch.setattr(step, "COMPARED", len(test))
    assert (ensemble.images("elbow") == pixels[test]).all()
    assert ensemble.data == {"patient_level_split": True, "synthetic": True}
    assert not is_bundle(tmp_path / "onnx")
