"""Break the code on purpose, one guarantee at a time, and see its test go red: `python -m tests.sabotage [ROW ...]`.

Each table `[[sabotage]]` in this folder's toml files names a row of the test plan, a file, the text that is taken out
of it, what is put there instead, and the test that must fail then. The breaking is done in a copy.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("murace", "tests", "completions", "pyproject.toml", "README.md", "LICENSE", ".ci", ".gitignore")


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """One way to break one guarantee."""

    row: str
    file: str
    find: str
    replace: str
    test: str
    marker: str = ""

    def apply(self, root: Path) -> None:
        """Break the copy.

        Raises:
            ValueError: the text is not there exactly once: the code has changed and the sabotage has not.
        """
        path = root / self.file
        text = path.read_text()
        if text.count(self.find) != 1:
            raise ValueError(f"{self.file} has {text.count(self.find)} times: {self.find!r}")
        path.write_text(text.replace(self.find, self.replace))


def sabotages() -> Iterator[Sabotage]:
    """All that are recorded."""
    for path in sorted(Path(__file__).parent.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["sabotage"]:
            yield Sabotage(**entry)


def is_red(sabotage: Sabotage) -> bool:
    """Whether the test fails once the code is broken; a test that cannot be run at all is no proof."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, root / name) if source.is_dir() else shutil.copy(source, root / name)
        sabotage.apply(root)
        marker = ["-m", sabotage.marker] if sabotage.marker else []
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *marker, sabotage.test]
        environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode == 1 and " failed" in ended.stdout


def main(rows: list[str]) -> int:
    """Replay those of the rows (all where none is named); returns how many tests stayed green."""
    survivors = 0
    for sabotage in sabotages():
        if rows and sabotage.row not in rows:
            continue
        red = is_red(sabotage)
        survivors += not red
        print(f"{'red  ' if red else 'GREEN'}  {sabotage.row:4}  {sabotage.file}: {sabotage.test}", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
