"""The job script and the notebook of the guide, run: SLURM's commands are stand-ins, the kernel is Jupyter's."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from murace.cli.commands.guide import read_page
from tests.cli.typed import NARROW, ROOT, environment
from tests.data.files import make_mura

PAGE = read_page("platforms").text
# srun as the manual describes it: its options, then a command; every process of a step gets the signal, once here,
# after the first epoch.
SRUN = """
import os, signal, subprocess, sys
words = sys.argv[2:]
process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
for line in process.stderr:
    sys.stderr.write(line)
    if line.startswith("epoch 1/") and not os.path.exists("signalled"):
        open("signalled", "w").close()
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        for pid in (*map(int, children), process.pid):
            os.kill(pid, signal.SIGUSR1)
sys.exit(process.wait())
"""
SMALL = """
import sys
from murace.__main__ import main
sys.argv += {"prepare": ["--size", "64", "--jobs", "1"], "train": TRAIN}.get(sys.argv[1], [])
main()
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(found)


def program(folder: Path, name: str, source: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{source}")
    (folder / name).chmod(stat.S_IRWXU)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with `murace` for tiny pictures and nets, and SLURM's commands."""
    train = [*NARROW, "--epochs", "3"]
    program(tmp_path / "bin", "murace", SMALL.replace("TRAIN", repr(train)))
    program(tmp_path / "bin", "srun", SRUN)
    program(tmp_path / "bin", "scontrol", "import sys\nopen('requeued', 'a').write(' '.join(sys.argv[1:]) + '\\n')")
    return tmp_path / "bin"


@pytest.mark.slow
def test_the_job_script_stops_in_time_is_queued_again_and_resumes(programs: Path, tmp_path: Path) -> None:
    make_mura(tmp_path / "MURA-v1.1")
    script = block("bash").replace("--arch convnet,resnet,densenet --gpu 0", "--arch convnet")
    script = script.partition("step calibrate")[0]
    assert "#SBATCH --signal=USR1@300\n" in script
    (tmp_path / "job.sh").write_text(script)
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    variables |= {"SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": "1"}

    def submit() -> subprocess.CompletedProcess[str]:
        command = ["bash", "job.sh"]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(**variables), capture_output=True, text=True, check=False
        )

    first = submit()
    assert first.returncode == 143, first.stderr
    assert "interrupted by SIGUSR1; what was done is saved" in first.stderr
    assert (tmp_path / "requeued").read_text() == "requeue 77\n"
    second = submit()
    assert second.returncode == 0, second.stderr
    assert "prepare is up to date" in second.stderr
    assert "resuming after epoch" in second.stderr
    assert "epoch 3/3" in second.stderr
    assert (tmp_path / "requeued").read_text() == "requeue 77\n"


def cells() -> list[str]:
    return re.findall(r"^```python\n(.*?)\n```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_notebook_has_three_cells() -> None:
    assert [cell.split()[:2] for cell in cells()] == [["!pip", "install"], ["!murace", "prepare"], ["!murace", "train"]]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*(event loop|TCP|unclosed)")
def test_the_cells_of_the_notebook_run_and_can_be_read(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    make_mura(tmp_path / "MURA-v1.1")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells()[1:]])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", resources=resources, timeout=120).execute()
    prepare, train = ("".join(output["text"] for output in cell["outputs"]) for cell in notebook["cells"])
    assert "Table 1" in prepare
    assert "next: murace train --arch all" in prepare
    assert len(re.findall(r"^epoch \d/3  train loss", train, flags=re.MULTILINE)) == 3
    assert "resnet is trained: best epoch" in train
    for shown in (prepare, train):
        assert "Traceback" not in shown
        assert re.findall(r"\x1b\[[0-9;?]*[A-Za-ln-z]", shown) == []  # colours alone: no line is drawn again
