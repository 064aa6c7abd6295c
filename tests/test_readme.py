import re
import shlex
from pathlib import Path
from typing import get_type_hints

import pytest

from murace.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("murace ")]


def options_of(name: str) -> set[str]:
    """The long options of a command, from its function's annotations."""
    command = next(item for item in app.registered_commands if item.name == name)
    assert command.callback is not None
    hints = get_type_hints(command.callback, include_extras=True).values()
    items = [item for hint in hints for item in getattr(hint, "__metadata__", ())]
    # In an annotation Typer takes the first name as the positional argument `default`.
    declared = [word for item in items for word in (item.default, *(item.param_decls or ())) if isinstance(word, str)]
    return {part for word in declared for part in word.split("/") if part.startswith("--")}


def test_the_quick_start_is_two_lines_and_ci_runs_the_second_to_the_letter() -> None:
    first, second = BLOCKS[0].strip().splitlines()
    assert first.endswith("murace demo")
    assert second in (ROOT / ".ci" / "run").read_text()


def test_the_paper_is_six_commands() -> None:
    names = [shlex.split(line)[1] for line in BLOCKS[1].strip().splitlines()]
    assert names == ["prepare", "train", "calibrate", "finetune", "evaluate", "cam"]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_in_the_readme_exists(line: str) -> None:
    words = shlex.split(line)
    assert {word for word in words if word.startswith("--")} <= options_of(words[1])


def test_options_named_in_the_text_exist() -> None:
    known = set().union(*(options_of(str(item.name)) for item in app.registered_commands)) | {"--install-completion"}
    assert set(re.findall(r"`(--[a-z][a-z-]*)", README)) <= known


def test_no_placeholder_is_left() -> None:
    assert not re.search(
        r"\b[A-Z]+_[A-Z]+\b", re.sub(r"MURACE_[A-Z]+|XR_[A-Z]+|`[^`]*`|```.*?```", "", README, flags=re.DOTALL)
    )
