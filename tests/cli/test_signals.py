"""Ctrl-C and SIGTERM, sent to real processes; and what a real terminal sees."""

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from murace.workspace.paths import Workspace
from tests.cli.terminal import CTRL_C, Terminal, plain
from tests.cli.typed import NARROW, PYTHON, answered, environment, refused, typed
from tests.data.files import make_mura

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
INLINE = "module://matplotlib_inline.backend_inline"  # as every kernel exports it
STOPPING = "stopping at the next safe point (again to stop at once)"
ENDLESS = ("--epochs", "100000", "--patience", "100000")
SETTINGS = ("--arch", "convnet", *NARROW)


def start(*words: str, root: Path, **variables: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [*PYTHON, "train", *SETTINGS, *words, "-w", str(root)]
    return subprocess.Popen(command, env=environment(**variables), text=True, **pipes)


def wait_for(process: subprocess.Popen[str], beginning: str) -> list[str]:
    """The lines on stderr up to the first that begins so."""
    lines: list[str] = []
    while not lines or not lines[-1].startswith(beginning):
        line = process.stderr.readline()
        assert line, "".join(lines)
        lines.append(line)
    return lines


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)])
def test_a_signal_saves_and_the_same_command_goes_on(number: signal.Signals, code: int, prepared: Workspace) -> None:
    asked = {signal.SIGTERM: ["--json"], signal.SIGUSR1: ["--stop-on", "USR2,USR1"]}
    words = ("--epochs", "12", "--patience", "12", *asked.get(number, []))
    with start(*words, "--fresh", root=prepared.root) as process:
        wait_for(process, "epoch 1/12 ")
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    command = shlex.join(["murace", "train", *SETTINGS, *words, "-w", str(prepared.root)])
    said = f"interrupted by {number.name}; what was done is saved. To go on: {command}"
    assert f"{STOPPING}\n" in stderr
    assert stderr.endswith(f"{said}\n")
    assert "Traceback" not in stderr
    error = {"kind": "Interrupted", "message": said, "exit_code": code}
    assert json.loads(stdout)["error"] == error if number is signal.SIGTERM else stdout == ""
    assert answered("status", "-w", prepared.root)["steps"][1]["state"] == "partial"
    again = typed(*shlex.split(command)[1:])
    assert again.exit_code == 0
    assert "resuming after epoch" in again.stderr
    assert "epoch 1/12 " not in again.stderr
    assert "epoch 12/12 " in again.stderr
    assert list(pd.read_csv(prepared.train("convnet").history)["epoch"]) == list(range(1, 13))


def test_the_signals_may_stand_in_the_environment(prepared: Workspace) -> None:
    with start(*ENDLESS, root=prepared.root, MURACE_STOP_ON="SIGUSR2") as process:
        wait_for(process, "epoch 1/100000")
        process.send_signal(signal.SIGUSR2)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "interrupted by SIGUSR2; what was done is saved" in stderr


STOPPED = {
    "prepare": ("somewhere",),
    "train": (),
    "finetune": (),
    "evaluate": (),
    "predict": ("somewhere",),
    "cam": ("somewhere",),
}


@pytest.mark.parametrize("command", STOPPED)
def test_a_signal_that_nobody_knows_is_refused(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    words = (command, *STOPPED[command], "-w", tmp_path)
    assert refused(2, *words, "--stop-on", "USR3") == "--stop-on: unknown signal 'USR3'; did you mean 'USR2'?"
    monkeypatch.setenv("MURACE_STOP_ON", "HUP")
    assert refused(2, *words) == "--stop-on: unknown signal 'HUP'; known: USR1, USR2"


def test_a_signal_to_the_whole_job_does_not_end_the_reading_processes(tmp_path: Path) -> None:
    """A cluster sends it to every process of a step; prepare's own would take theirs for a lack of memory."""
    source = make_mura(tmp_path / "MURA", patients=600)
    command = [*PYTHON, "prepare", str(source), "--size", "16", "--jobs", "2", "-w", str(tmp_path / "w")]
    with subprocess.Popen([*command, "--stop-on", "USR1"], env=environment(), text=True, stderr=subprocess.PIPE) as run:
        children: list[str] = []
        while len(children) < 2 and run.poll() is None:
            found = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=False)
            children = found.stdout.split()
        for pid in (*map(int, children), run.pid):
            os.kill(pid, signal.SIGUSR1)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 143, stderr
    assert "interrupted by SIGUSR1" in stderr


def test_a_signal_on_request_that_comes_again_ends_nothing(prepared: Workspace) -> None:
    """A cluster may send it to a script, which passes it on, and to the script's steps."""
    with start(*ENDLESS, "--stop-on", "USR1", root=prepared.root) as process:
        wait_for(process, "epoch 1/100000")
        for _ in range(3):
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.02)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "interrupted by SIGUSR1; what was done is saved" in stderr


def test_a_second_signal_ends_at_once(prepared: Workspace) -> None:
    with start(*ENDLESS, root=prepared.root) as process:
        wait_for(process, "epoch 1/100000")
        os.kill(process.pid, signal.SIGSTOP)  # so that both are there before it can look
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        os.kill(process.pid, signal.SIGCONT)
        began = time.monotonic()
        process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, -signal.SIGTERM)
    assert time.monotonic() - began < 10
    assert answered("status", "-w", prepared.root)["steps"][1]["state"] == "partial"


def test_a_terminal_sees_bars_and_gets_its_cursor_back(prepared: Workspace, tmp_path: Path) -> None:
    command = [*PYTHON, "train", *SETTINGS, *ENDLESS, "-w", str(prepared.root)]
    with Terminal(command, cwd=tmp_path, env=environment(TERM="xterm-256color")) as terminal:
        terminal.read_until(lambda shown: "best auc" in shown and "images/s" in shown)
        terminal.type(CTRL_C)
        shown = terminal.read_until(lambda shown: "To go on:" in shown and shown.endswith("\n"))
        assert terminal.process.wait(30) == 130
    assert HIDE_CURSOR in shown
    assert shown.rindex(SHOW_CURSOR) > shown.rindex(HIDE_CURSOR)
    text = plain(shown)
    assert "━" in text
    assert "epochs" in text
    assert "/100000" in text
    assert "\nepoch 1/100000  train loss" not in text  # those are for logs
    assert "interrupted by SIGINT; what was done is saved" in text


@pytest.mark.parametrize("variables", [{"MPLBACKEND": INLINE}, {"JPY_PARENT_PID": "1"}])
def test_a_notebook_is_no_terminal_that_can_redraw(
    variables: dict[str, str], prepared: Workspace, tmp_path: Path
) -> None:
    """What `!murace` prints goes through a terminal there, but no line of it can be taken back."""
    command = [*PYTHON, "train", *SETTINGS, "--epochs", "2", "-w", str(prepared.root)]
    variables |= {"TERM": "xterm-color", "FORCE_COLOR": "1", "CLICOLOR": "1"}
    with Terminal(command, cwd=tmp_path, env=environment(**variables), columns=80) as terminal:
        shown = terminal.read_until(lambda shown: "next: " in shown and shown.endswith("\n"))
        assert terminal.process.wait(30) == 0
    assert "\nepoch 2/2  train loss" in shown
    assert HIDE_CURSOR not in shown
    assert "\x1b[2K" not in shown
