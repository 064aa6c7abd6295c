"""Tab, in every shell that is installed here."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from murace.cli import completion
from murace.cli.commands.guide import topics
from tests.cli.terminal import Terminal, plain
from tests.cli.typed import COMMANDS, ROOT, environment

FOLDER = ROOT / "completions"
LEARNERS = {"convnet", "resnet", "densenet", "all"}
METRICS = {"auc,accuracy", "auc,precision", "auc,recall", "auc,kappa", "auc,acc"}
LINES = {
    "murace ": set(COMMANDS),
    "murace train --arch ": LEARNERS,
    "murace train --arch resnet,": {f"resnet,{name}" for name in LEARNERS - {"resnet"}},
    "murace finetune --groups ": {"elbow", "wrist"},
    "murace finetune --groups elbow,": {"elbow,wrist"},
    "murace finetune -w other --groups ": {"hand"},
    "murace calibrate --val-metrics auc,": METRICS,
    "murace gui": {"guide"},
    "murace guide ": set(topics()),
    "murace guide res": {"results", "resume"},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with rosters in two workspaces, and a `murace` that runs this checkout."""
    program = tmp_path / "bin" / "murace"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m murace "$@"\n')
    program.chmod(0o755)
    for workspace, groups in {"workspace": ["wrist", "elbow"], "other": ["hand"]}.items():
        roster = tmp_path / workspace / "calibrate" / "roster.json"
        roster.parent.mkdir(parents=True)
        choice = {"learner": "convnet", "votes": {"convnet": 1}, "tie": False}
        content = {"metrics": ["auc"], "level": "study", "groups": dict.fromkeys(groups, choice)}
        roster.write_text(json.dumps(content))
    return tmp_path


def variables(place: Path) -> dict[str, str]:
    return environment(PATH=f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}", TERM="xterm", HOME=str(place))


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: its completions were not tried")
    return found


def run(place: Path, *command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, cwd=place, env=variables(place), check=True)
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize("name", completion.FILES)
def test_the_file_is_the_generated_text(name: str) -> None:
    mend = "to mend: python -m murace.cli.completion completions"
    assert (FOLDER / completion.FILES[name]).read_text() == completion.script(name), mend


def test_there_is_no_other_file_and_the_wheel_takes_each() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(completion.FILES.values())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert set(shared) == {f"completions/{name}" for name in completion.FILES.values()}


def test_writing_them_is_one_command(tmp_path: Path) -> None:
    completion.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(completion.FILES.values())


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_syntax_is_sound(name: str, place: Path) -> None:
    run(place, shell(name), "-n", str(FOLDER / completion.FILES[name]))


def test_powershell_parses_its_file(place: Path) -> None:
    path = FOLDER / completion.FILES["powershell"]
    code = (
        f"$bad = $null; [void][Management.Automation.Language.Parser]::ParseFile('{path}', [ref]$null, [ref]$bad); $bad"
    )
    assert run(place, shell("pwsh"), "-NoProfile", "-Command", code) == ""


@pytest.mark.parametrize("line", LINES)
def test_tab_in_bash(line: str, place: Path) -> None:
    words = line.split(" ")
    code = (
        f"source {FOLDER / 'murace.bash'}; COMP_WORDS=({' '.join(words)} ''); COMP_CWORD={len(words) - 1}; "
        "_murace_completion murace; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert set(run(place, shell("bash"), "-c", code).split()) == LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_tab_in_fish(line: str, place: Path) -> None:
    code = f'source {FOLDER / "murace.fish"}; complete -C"{line}"'
    output = run(place, shell("fish"), "--no-config", "-c", code)
    assert {row.split("\t")[0] for row in output.splitlines()} == LINES[line]


@pytest.mark.parametrize("way", ["fpath", "source"])
def test_the_first_tab_in_zsh(way: str, place: Path) -> None:
    setup = f"fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D"
    if way == "source":
        setup = f"autoload -Uz compinit; compinit -u -D; source {FOLDER / '_murace'}"
    with Terminal([shell("zsh"), "-f", "-i"], cwd=place, env=variables(place)) as terminal:
        terminal.type(f"{setup}; print set''up\n")
        terminal.read_until(lambda shown: "setup" in words_in(shown))
        terminal.type("murace train --arch \t")
        shown = terminal.read_until(lambda shown: set(words_in(shown)) >= LEARNERS, seconds=20)
    assert set(words_in(shown)) >= LEARNERS, shown


def words_in(shown: str) -> list[str]:
    return re.findall(r"[a-z]+", plain(shown))
