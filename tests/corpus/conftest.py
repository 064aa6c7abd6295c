"""Every case has a folder of its own, which is the current one and holds the temporary files."""

import tempfile
from pathlib import Path

import pytest

from murace.errors import Interrupted
from murace.steps.train import step as train
from murace.workspace import Rerun
from tests.steps.test_train import StopAfter
from tests.workshop import CPU, tiny_config, tiny_workspace


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))  # what is left there is found too
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose training was stopped after the first epoch and a step."""
    workspace = tiny_workspace(tmp_path_factory.mktemp("unfinished") / "workspace")
    with pytest.raises(Interrupted):
        train.run(workspace, tiny_config(), machine=CPU, rerun=Rerun(), reporter=StopAfter(9))
    return workspace.root
