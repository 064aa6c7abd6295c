"""What nobody foresaw: the machine's fault is one line with exit code 5, a bug is a traceback with exit code 1."""

import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from murace.workspace.paths import Workspace
from tests.cli.typed import NARROW, PYTHON, environment, refused, typed


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("murace.steps.calibrate.step.run", run)


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "disk full"), (errno.EDQUOT, "disk quota used up")])
def test_a_full_disk(number: int, told: str, prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(OSError(number, os.strerror(number), "scores.csv"), monkeypatch)
    message = refused(5, "calibrate", "-w", prepared.root)
    free, again = r"[0-9,.]+ [kMG]B are free on /[^;]*", "Free some space and run the same command again"
    assert re.fullmatch(rf"{told} while writing scores\.csv: {free}\. {again}", message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("as_json", [True, False])
def test_results_that_go_to_a_full_disk(as_json: bool, prepared: Workspace) -> None:
    command = [*PYTHON, "status", "-w", str(prepared.root), *(["--json"] if as_json else [])]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert ended.returncode == 5
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: disk full")


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("guide", "dicom")])
def test_a_reader_that_has_seen_enough_is_no_bug(words: tuple[str, ...], tmp_path: Path) -> None:
    """As `| head`, and `2>&1 | head`."""
    command = [*PYTHON, *words]
    for stderr in (subprocess.PIPE, subprocess.STDOUT):
        read, write = os.pipe()
        os.close(read)
        ended = subprocess.run(
            command, stdout=write, stderr=stderr, text=True, cwd=tmp_path, env=environment(), check=False
        )
        os.close(write)
        assert ended.returncode == 141
        assert not ended.stderr


def test_a_log_that_nobody_reads_any_more_is_no_bug(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [*PYTHON, "train", "--arch", "resnt"]
    ended = subprocess.run(command, stderr=write, stdout=subprocess.PIPE, cwd=tmp_path, env=environment(), check=False)
    os.close(write)
    assert (ended.returncode, ended.stdout) == (141, b"")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_closed_stdout_is_as_the_shell_wished(as_json: bool, prepared: Workspace) -> None:
    words = [*PYTHON, "status", "-w", str(prepared.root), *(["--json"] if as_json else [])]
    command = ["bash", "-c", 'exec "$@" >&-', "bash", *words]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr


def test_a_limit_of_memory_that_is_too_low_for_torch(prepared: Workspace) -> None:
    words = [*PYTHON, "train", "--arch", "convnet", *NARROW, "-w", str(prepared.root)]
    command = ["bash", "-c", 'ulimit -v 600000; exec "$@"', "bash", *words]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert ended.returncode == 5
    (line,) = ended.stderr.splitlines()
    assert re.fullmatch(
        r"error: out of memory \(\S+: failed to map segment from shared object\); .* \(ulimit -v,.*", line
    )


def test_too_little_memory(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(MemoryError("Unable to allocate 9 TiB"), monkeypatch)
    assert refused(5, "calibrate", "-w", prepared.root).startswith("out of memory (Unable to allocate 9 TiB)")


@pytest.mark.parametrize("error", [KeyError("auc"), FileNotFoundError(errno.ENOENT, "No such file", "x")])
def test_a_bug_keeps_its_traceback(error: Exception, prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(error, monkeypatch)
    result = typed("calibrate", "--json", "-w", prepared.root)
    assert result.exit_code == 1
    assert result.exception is error
    assert json.loads(result.stdout)["error"] == {
        "kind": type(error).__name__,
        "message": str(error),
        "exit_code": 1,
    }
