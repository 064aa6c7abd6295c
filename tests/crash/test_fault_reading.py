"""Reading processes whose disk or memory gives up, and one that is killed: exit 5, and the same command finishes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from murace.data.ingest import chunks, pool
from murace.system.opencv import cv2
from tests.cli.typed import done, environment, error_lines, typed
from tests.crash.faultdisk import VARIABLE
from tests.data.files import make_manifest, picture, png

pytestmark = pytest.mark.crash

NUMBERS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES)
HOOK = "from tests.crash.faultdisk import break_by_environment\nbreak_by_environment()\n"
RESULTS = ("pixels.npy", "index.csv", "counts.csv", "rejected.csv")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Radiographs enough for two processes, read in small chunks."""
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 5)
    return make_manifest(tmp_path / "source", count=60)


def words(source: Path, workspace: Path) -> tuple[object, ...]:
    return ("prepare", source, "-w", workspace, "--size", 64, "--jobs", 2)


def content(workspace: Path) -> list[bytes]:
    return [(workspace / "prepare" / name).read_bytes() for name in RESULTS]


@pytest.mark.parametrize("at", [0, 1, 3, 6, 7, 8, 9, 11, 14, 20])
def test_the_disk_of_a_reading_process_fails(at: int, source: Path, tmp_path: Path, monkeypatch) -> None:
    done(*words(source, tmp_path / "plain"))
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'broken'}:{at}:{NUMBERS[at % len(NUMBERS)]}")
    result = typed(*words(source, tmp_path / "broken"))
    assert result.exit_code == 5, result.output
    (told,) = error_lines(result)
    assert told.startswith(("disk full while writing", "disk quota used up", "cannot write")), told
    monkeypatch.delenv(VARIABLE)
    done(*words(source, tmp_path / "broken"))
    assert content(tmp_path / "broken") == content(tmp_path / "plain")


def test_a_reading_process_is_killed_as_by_a_system_without_memory(source, tmp_path, monkeypatch) -> None:
    real, killed = pool._Reader.send_job, []

    def send_job(reader: pool._Reader, job: chunks.ReadJob) -> None:
        real(reader, job)
        if not killed:
            killed.append(reader)
            os.kill(reader.worker.process.pid, signal.SIGKILL)

    monkeypatch.setattr(pool._Reader, "send_job", send_job)
    result = typed(*words(source, tmp_path / "broken"))
    assert result.exit_code == 5, result.output
    (line,) = error_lines(result)
    assert line.startswith("a reading process was ended by SIGKILL (no memory left?)"), line
    monkeypatch.undo()
    done(*words(source, tmp_path / "broken"))


LIMITED = """
import os, resource, sys
from pathlib import Path
from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.errors import MachineError

small, large, room = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
read(small)
used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
try:
    read(large)
except MachineError as error:
    print("machine", error)
except ImageError as error:
    print("file", error)
"""


@pytest.mark.parametrize("room", [20, 75])
@pytest.mark.parametrize("form", ["png", "jpeg", "progressive"])
def test_a_decoder_with_really_too_little_memory(form: str, room: int, tmp_path: Path) -> None:
    """A picture of 64 MB, first without room for it, then without room for more than it."""
    large = np.add.outer(np.arange(8000) % 251, np.arange(8000) % 241).astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if form == "progressive" else []
    data = cv2.imencode(".png" if form == "png" else ".jpg", large, flags)[1].tobytes()
    (tmp_path / "small").write_bytes(png(picture()) if form == "png" else cv2.imencode(".jpg", picture())[1].tobytes())
    (tmp_path / "large").write_bytes(data)
    command = [sys.executable, "-c", LIMITED, tmp_path / "small", tmp_path / "large", str(room * 2**20)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    fits = form != "progressive" and room == 75 and not ended.stdout
    assert fits or ended.stdout.startswith("machine out of memory while a radiograph was decoded"), ended
    assert ended.returncode == 0, ended.stderr


def test_a_command_with_really_too_little_memory(tmp_path: Path) -> None:
    """The whole of prepare in one process, whose room is less than the radiograph takes."""
    source = make_manifest(tmp_path / "source", count=6)
    large = np.add.outer(np.arange(8000) % 251, np.arange(8000) % 241).astype(np.uint8)
    done("prepare", source, "-w", tmp_path / "plain", "--size", 64)
    first = next(path for path in sorted(source.parent.rglob("*.png")))
    first.write_bytes(cv2.imencode(".png", large)[1].tobytes())
    limited = (
        "import os, resource, sys\nfrom pathlib import Path\nimport murace.steps.prepare, murace.cli.display.tables\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 48 * 2**20,) * 2)\n"
        "from murace.__main__ import main\nmain()\n"
    )
    given = ["prepare", str(source), "-w", str(tmp_path / "broken"), "--size", "64", "--jobs", "1"]
    command = [sys.executable, "-W", "error", "-c", limited, *given]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 5, ended
    assert "error: out of memory" in ended.stderr
    assert "Traceback" not in ended.stderr
    done(*given)
