"""Every test starts from the same place: no murace settings in the environment, a small and quiet torch."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

from murace.workspace.paths import Workspace
from tests.workshop import in_float64, tiny_chain, tiny_workspace


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MURACE_WORKSPACE", "COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def float64() -> Iterator[None]:
    """What murace computes in float32 on a CPU is float64; see `workshop.in_float64`."""
    with in_float64():
        yield


@pytest.fixture
def prepared(tmp_path: Path) -> Workspace:
    """A workspace whose `prepare` is done, with made-up pictures."""
    return tiny_workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def fracatlas() -> Path:
    """The folder of real radiographs, where there is one."""
    folder = os.environ.get("MURACE_FRACATLAS")
    if not folder or not (Path(folder) / "manifest.csv").is_file():
        pytest.skip("MURACE_FRACATLAS does not name the folder of the FracAtlas radiographs")
    return Path(folder)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("finished")
    workspace = tiny_workspace(root / "workspace", source=root / "source")
    tiny_chain(workspace)
    return workspace


@pytest.fixture
def source(_finished: Workspace) -> Path:
    """The files that the finished workspace was prepared from; not to be changed."""
    return _finished.root.parent / "source"


@pytest.fixture
def finished(_finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of a workspace that has been through the whole chain up to `evaluate`."""
    shutil.copytree(_finished.root, tmp_path / "finished")
    return Workspace(tmp_path / "finished")
