"""A ground on which every step is about to begin, made once."""

import shutil
from pathlib import Path

import pytest

from tests.crash.ground import make_ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`before-<step>/workspace` and `after-<step>/workspace` for every step, over one source; not to be changed."""
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def stand(ground: Path, tmp_path: Path) -> "Stand":
    return Stand(ground, tmp_path)


class Stand:
    """Copies of the ground in which a step is about to begin, each removed when its test is over with it."""

    def __init__(self, ground: Path, folder: Path) -> None:
        self.ground, self.folder, self.count = ground, folder, 0
        shutil.copy2(ground / "manifest.csv", folder)
        for name in ("pictures", "patients"):  # no links: they would lead out of the source
            shutil.copytree(ground / name, folder / name)

    def before(self, step: str) -> Path:
        self.count += 1
        base = self.folder / f"{step}-{self.count}"
        shutil.copytree(self.ground / f"before-{step}", base)
        return base

    def after(self, step: str) -> Path:
        return self.ground / f"after-{step}"
