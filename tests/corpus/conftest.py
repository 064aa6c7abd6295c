"""Every case has a folder of its own, which is the current one and holds the temporary files."""

import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))  # what is left there is found too
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder
