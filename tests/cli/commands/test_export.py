from pathlib import Path

import pytest

from murace.system.files import sha256
from murace.workspace.paths import Workspace
from tests.cli.typed import answered, done, refused


def test_the_file_its_size_and_digest_are_told(finished: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.murace"
    first = done("export", path, "-w", finished.root)
    assert first.stdout.splitlines() == [
        f"{path}: {path.stat().st_size:,} bytes, for elbow, wrist",
        f"SHA-256 {sha256(path)}",
    ]
    second = done("export", path, "-w", finished.root)
    assert second.stdout == first.stdout
    assert "is up to date: nothing has changed" in second.stderr
    told = answered("export", path, "-w", finished.root)
    assert told["file"] | {"groups": sorted(told["file"]["groups"])} == {
        "path": str(path),
        "skipped": True,
        "size": path.stat().st_size,
        "sha256": sha256(path),
        "groups": ["elbow", "wrist"],
    }
    assert told["onnx"] is None


@pytest.mark.slow
def test_onnx_says_how_far_the_graphs_are_from_the_nets(finished: Workspace, tmp_path: Path) -> None:
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)
    told = answered("export", "--onnx", tmp_path / "onnx", "-w", finished.root, "--threads", "1")
    assert told["file"] is None
    assert all(entry["checked"]["largest_difference"] <= 1e-4 for entry in told["onnx"]["groups"].values())
    shown = done("export", "--onnx", tmp_path / "onnx", "-w", finished.root)
    assert "ONNX against torch" in shown.stdout
    assert "up to date" in shown.stderr


def test_refusals(finished: Workspace, tmp_path: Path) -> None:
    assert "name a FILE.murace to write, or --onnx DIR, or both" in refused(2, "export", "-w", finished.root)
    (tmp_path / "b.murace").write_bytes(b"mine")
    assert "is not of murace export" in refused(2, "export", tmp_path / "b.murace", "-w", finished.root)
    (tmp_path / "evaluate").mkdir()
    (finished.evaluate.folder / "step.json").unlink()
    line = refused(4, "export", tmp_path / "c.murace", "-w", finished.root)
    assert line.endswith(f"Run: murace evaluate -w {finished.root}")
