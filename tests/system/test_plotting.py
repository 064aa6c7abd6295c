"""matplotlib draws the same whatever a notebook, a home or a settings file says."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from murace.report.drawing import svg
from murace.system.plotting import Figure
from tests.cli.typed import ROOT

# As where murace has an environment of its own: no package there offers the notebook's backend.
ALONE = """
import importlib.metadata, sys
real = importlib.metadata.entry_points
none = importlib.metadata.EntryPoints()
importlib.metadata.entry_points = lambda **asked: none if asked.get("group") == "matplotlib.backend" else real(**asked)
sys.modules["matplotlib_inline"] = None
"""
DRAW = """
import hashlib, sys
import murace.cli
from murace.report.drawing import svg
from murace.report.drawing.sheet import letters
from murace.system.plotting import Figure
with svg.style("x"):
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1], label="a")
    sys.stdout.write(hashlib.sha256(svg.to_svg(figure, "x")).hexdigest())
letters(9)
"""
INLINE = "module://matplotlib_inline.backend_inline"
LINES = "lines.linewidth: 9\nfont.size: 30\n"


def drawn(folder: Path, program: str = ALONE + DRAW, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def expected() -> str:
    with svg.style("x"):
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([0, 1], label="a")
        return hashlib.sha256(svg.to_svg(figure, "x")).hexdigest()


@pytest.mark.parametrize(
    "variables",
    [
        {"MPLBACKEND": INLINE},
        {"MPLBACKEND": "nonsense", "HOME": "/proc/nowhere"},
        {"MATPLOTLIBRC": "bad", "MPLCONFIGDIR": "/proc/nowhere"},
        {"MATPLOTLIBRC": "odd", "HOME": "/"},
    ],
    ids=str,
)
def test_no_setting_of_matplotlib_counts(variables: dict[str, str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"backend: nonsense\nfigure.dpi: \xff\n")
    (tmp_path / "odd").write_text(LINES)
    ended = drawn(tmp_path, **variables)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, expected, "")


def test_nor_does_a_file_in_the_folder(expected: str, tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text(LINES)
    assert drawn(tmp_path).stdout == expected
    (tmp_path / "matplotlibrc").write_bytes(b"figure.dpi: \xff\n")
    ended = drawn(tmp_path)
    assert ended.stderr.splitlines()[-1].startswith("murace.errors.MachineError: matplotlib cannot be loaded ('utf-8'")
    assert "./matplotlibrc" in ended.stderr


def test_the_variable_stays_for_what_else_the_process_draws(tmp_path: Path) -> None:
    program = "import os\nfrom murace.system.plotting import mpl\nprint(os.environ['MPLBACKEND'], mpl.get_backend())"
    assert drawn(tmp_path, program, MPLBACKEND="svg").stdout == "svg svg\n"
