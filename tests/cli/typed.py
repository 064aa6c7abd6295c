"""The command line as it is typed: in this process, or in one of its own."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from murace.cli import app

ROOT = Path(__file__).parents[2]
STEPS = ("prepare", "train", "calibrate", "finetune", "evaluate", "cam")
COMMANDS = (*STEPS, "predict", "export", "status", "audit", "score", "sample", "demo", "guide")
CPU = ("--gpu", "cpu", "--threads", "1")
ALONE = (*CPU, "--side-by-side", "1")  # trainings in this process, where a test may change what it likes
NARROW = (*ALONE, "--width", "0.1", "--precision", "fp32", "--batch-size", "8", "--lr", "0.003")
MEMBER = (*ALONE, "--precision", "fp32", "--batch-size", "8", "--lr", "0.001", "--patience", "10", "--epochs", "1")
PYTHON = [sys.executable, "-W", "error", "-m", "murace"]


def typed(*words: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def done(*words: object) -> Result:
    """Run a command that must succeed."""
    result = typed(*words)
    assert result.exit_code == 0, result.output
    return result


def answered(*words: object) -> dict[str, Any]:
    """Run a command that must succeed, with --json; returns the one object that stands on stdout."""
    return json.loads(done(*words, "--json").stdout)


def refused(exit_code: int, *words: object) -> str:
    """Run a command that must fail so, in words and in JSON; returns its one line without `error: `."""
    plain, as_json = typed(*words), typed(*words, "--json")
    assert plain.exit_code == as_json.exit_code == exit_code, plain.output
    assert plain.stdout == ""
    (line,) = error_lines(plain)
    assert plain.stderr.endswith(f"error: {line}\n")
    assert json.loads(as_json.stdout)["error"] | {"kind": ""} == {"kind": "", "message": line, "exit_code": exit_code}
    assert error_lines(as_json) == [line]
    return line


def error_lines(result: Result) -> list[str]:
    """What is said to be wrong, one item per line; a traceback is no way to say it."""
    assert "Traceback" not in result.output
    return [line.removeprefix("error: ") for line in result.stderr.splitlines() if line.startswith("error: ")]


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that runs this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file but the locks, with its bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
