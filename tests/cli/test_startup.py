"""Help and Tab are answered at once: nothing heavy is imported before a command runs."""

import json
import subprocess
import sys

import pytest

from murace import __version__
from murace.workspace.paths import Workspace
from tests.cli.typed import COMMANDS, MEMBER, NARROW, answered, environment, typed

HEAVY = ("torch", "torchvision", "numpy", "pandas", "sklearn", "cv2", "matplotlib", "scipy", "safetensors", "PIL")
SLOW = ("hashlib", "importlib.metadata", "socket", "murace.workspace", "murace.steps")  # together a fifth of the time
RUN = "import contextlib\nfrom murace.__main__ import main\nwith contextlib.suppress(SystemExit): main()"


def heavy_after(code: str, heavy: tuple[str, ...] = HEAVY, **variables: str) -> list[str]:
    program = f"import sys, json\n{code}\nsys.stderr.write(json.dumps([m for m in {heavy} if m in sys.modules]))"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(**variables), check=True)
    return json.loads(ended.stderr.splitlines()[-1])


@pytest.mark.parametrize("words", ["", "train --arch ", "finetune --groups ", "calibrate --val-metrics auc,", "guide "])
def test_a_tab_imports_nothing_heavy(words: str) -> None:
    line = f"murace {words}"
    place = str(line.count(" "))
    assert heavy_after(RUN, _MURACE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place) == []


def test_the_command_line_and_its_help_import_nothing_heavy() -> None:
    assert heavy_after("import murace.cli", (*HEAVY, *SLOW)) == []
    assert heavy_after(f"sys.argv = ['murace', 'train', '--help']\n{RUN}") == []
    assert heavy_after(f"sys.argv = ['murace', 'train', '--arch', 'resnt']\n{RUN}") == []


def test_the_guide_loads_what_formats_it_for_a_terminal_alone() -> None:
    heavy = (*HEAVY, "rich.markdown", "pygments")
    tab = {"_MURACE_COMPLETE": "complete_bash", "COMP_WORDS": "murace guide ", "COMP_CWORD": "2"}
    assert heavy_after(RUN, heavy, **tab) == []
    for words in (["guide"], ["guide", "dicom"], ["guide", "--json"]):
        assert heavy_after(f"sys.argv = {['murace', *words]}\n{RUN}", heavy) == []


def test_nothing_heavy_is_loaded_to_find_that_a_learner_is_up_to_date(finished: Workspace) -> None:
    """Loading torch takes longer than a person who types a command again wants to wait (W2)."""
    words = ["train", "--arch", "convnet,densenet", *NARROW, "--epochs", "2", "-w", str(finished.root)]
    assert [learner["skipped"] for learner in answered(*words)["learners"]] == [True, True]
    assert heavy_after(f"sys.argv = {['murace', *words]}\n{RUN}") == []
    assert "torch" in heavy_after(f"sys.argv = {['murace', *words, '--lr', '0.1', '--resume']}\n{RUN}")


def test_nothing_heavy_is_loaded_to_find_that_every_member_is_up_to_date(finished: Workspace) -> None:
    words = ["finetune", *MEMBER, "-w", str(finished.root)]
    assert [member["skipped"] for member in answered(*words)["members"]] == [True, True]
    assert heavy_after(f"sys.argv = {['murace', *words]}\n{RUN}") == []
    assert heavy_after(f"sys.argv = {['murace', *words, '--groups', 'wrist']}\n{RUN}") == []
    for changed in (["--lr", "0.1", "--resume"], ["--groups", "wrst"]):  # its step refuses it, in its words
        assert "torch" in heavy_after(f"sys.argv = {['murace', *words, *changed]}\n{RUN}")


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_only_what_reads_tables_is_loaded_to_find_that_scores_are_up_to_date(command: str, finished: Workspace) -> None:
    words = [command, "--gpu", "cpu", "-w", str(finished.root)]
    assert answered(*words)["skipped"]
    assert set(heavy_after(f"sys.argv = {['murace', *words]}\n{RUN}")) <= {"numpy", "pandas", "safetensors"}
    assert "torch" in heavy_after(f"sys.argv = {['murace', *words, '--seed', '1', '--resume']}\n{RUN}")


def test_the_measure_itself_sees_an_import() -> None:
    assert "numpy" in heavy_after("import numpy")


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_an_example(command: str, flag: str) -> None:
    result = typed(*command.split(), flag)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert f"Example: murace {command}".rstrip() in result.stdout


def test_the_help_names_every_command_and_every_exit_code() -> None:
    words = typed("--help").stdout.split()
    assert set(COMMANDS) <= set(words)
    assert {"0", "1", "2", "3", "4", "5", "130", "143"} <= {word.strip(",.") for word in words}


def test_calibrate_says_first_what_it_does_not_do() -> None:
    first = " ".join(typed("calibrate", "--help").stdout.split("Example:")[0].split())
    assert "not calibrate probabilities" in first.split(".")[0]


def test_without_a_command_the_help_is_shown() -> None:
    result = typed()
    assert result.exit_code == 2
    assert "Usage: murace" in result.output


def test_the_version() -> None:
    result = typed("--version")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"murace {__version__}\n", "")
