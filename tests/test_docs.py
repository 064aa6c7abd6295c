"""README and the guide: every command, snippet, link, path and table in them is checked against what there is."""

import importlib.util
import io
import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from typer.main import get_command

from murace.cli import app
from murace.cli.commands.guide import PAGES, read_page, topics
from murace.cli.display.tables import scores_table
from murace.data.sources.manifest import list_manifest
from murace.data.tables.boxes import read_boxes
from murace.data.tables.predictions import read_predictions
from murace.vocabulary import DISCLAIMER, Metric

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TEXTS = {path: path.read_text() for path in (README, *sorted(PAGES.glob("*.md")))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
NARROWEST = 80  # columns of the terminal in which a page must look well
FRAME = 2  # columns around a block of code
PATH = re.compile(r"(?<![\w/.])((?:murace|tests|completions|\.ci)/[\w./-]*)")
CSV_READERS = {
    "path,x,y,width,height": read_boxes,
    "path,label,group,patient,study": list_manifest,
    "path,patient,study,group,label,hardware,mine,theirs": partial(read_predictions, slices=["hardware"]),
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def prose(text: str) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def spans(text: str) -> list[str]:
    """Code within sentences."""
    return re.findall(r"`([^`]+)`", prose(text))


def each(found: Iterator[tuple[Path, str]]) -> list[Any]:
    return [pytest.param(path, item, id=f"{path.name}: {item}") for path, item in found]


def lines_to_type() -> Iterator[tuple[Path, str]]:
    for path, text in TEXTS.items():
        yield from ((path, line) for block in blocks(text, "sh") for line in block.splitlines() if line.strip())


def commands_in_sentences() -> Iterator[tuple[Path, str]]:
    for path, text in TEXTS.items():
        yield from ((path, span) for span in spans(text) if span.startswith("murace "))


def links() -> Iterator[tuple[Path, str]]:
    for path, text in TEXTS.items():
        yield from ((path, target) for target in re.findall(r"\]\(([^)]+)\)", prose(text)))


def options_of(name: str) -> set[str]:
    """The long options of a command."""
    names = {word for item in COMMANDS[name].params for word in (*item.opts, *item.secondary_opts)}
    return {word for word in (*names, "--help") if word.startswith("--")}


def require_parsed(words: list[str]) -> None:
    """Make sure that the command line takes these words after `murace`: its command, options and values."""
    COMMANDS[words[0]].make_context(words[0], words[1:])
    if words[0] == "guide":
        assert set(words[1:]) <= set(topics())


def require_module(words: list[str]) -> None:
    """Make sure that `python -m` finds its module, and pytest its marker."""
    assert importlib.util.find_spec(words[0]) is not None
    if "-m" in words:
        markers = [line.partition(":")[0] for line in PROJECT["tool"]["pytest"]["ini_options"]["markers"]]
        assert words[words.index("-m") + 1] in markers


@pytest.mark.parametrize(("path", "line"), each(lines_to_type()))
def test_every_line_to_type_can_be_typed(path: Path, line: str) -> None:
    words = shlex.split(line)
    if path == README and line in blocks(TEXTS[README], "sh")[0]:
        return  # the quick start: CI runs it
    match words:
        case ["murace", *rest]:
            require_parsed(rest)
        case ["torchrun", *_]:
            start = words.index("murace")
            assert words[start - 1] == "-m"
            require_parsed(words[start + 1 :])
        case ["python", "-m", *rest]:
            require_module(rest)
        case ["pip", "install", extra]:
            assert extra.startswith("murace[")  # the extra itself: below
        case [program]:
            assert os.access(ROOT / program, os.X_OK)
        case _:
            pytest.fail("nothing checks such a line yet")


@pytest.mark.parametrize(("path", "span"), each(commands_in_sentences()))
def test_every_command_in_a_sentence_exists(path: Path, span: str) -> None:
    words = shlex.split(span)
    if words[1] in ("--help", "--install-completion"):
        return
    assert {word for word in words if word.startswith("--")} <= options_of(words[1])
    assert words[1] != "guide" or words[2:] == ["TOPIC"] or set(words[2:]) <= set(topics())


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_options_and_extras_in_the_text_exist(path: Path) -> None:
    known = set().union(*map(options_of, COMMANDS)) | {"--install-completion"}
    assert set(re.findall(r"`(--[a-z][a-z-]*)", TEXTS[path])) <= known
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(re.findall(r"\"(?:murace|\.)\[(\w+)\]\"", TEXTS[path])) <= set(extras)


@pytest.mark.parametrize(
    ("path", "block"), [(path, block) for path, text in TEXTS.items() for block in blocks(text, "csv")]
)
def test_every_csv_is_read(path: Path, block: str, tmp_path: Path) -> None:
    (tmp_path / "example.csv").write_text(block)
    CSV_READERS[block.splitlines()[0]](tmp_path / "example.csv")


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in a link, on GitHub."""
    headings = re.findall(r"^#+ (.*)$", prose(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("path", "target"), each(links()))
def test_every_link_leads_somewhere(path: Path, target: str) -> None:
    if target.startswith("https://"):
        return
    name, _, anchor = target.partition("#")
    there = (path.parent / name).resolve() if name else path
    assert there in TEXTS
    assert not anchor or anchor in anchors(TEXTS[there])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_link_says_the_command_that_shows_its_page(path: Path) -> None:
    for said, target in re.findall(r"\[murace guide ([^]]+)\]\(([^)]+)\)", TEXTS[path]):
        assert target.partition("#")[0] == f"{said}.md"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_every_path_of_the_repository_exists(path: Path) -> None:
    named = {name.rstrip(".") for name in PATH.findall(re.sub(r"\]\([^)]*\)", "", TEXTS[path]))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    sources = [span for span in spans(TEXTS[path]) if span.endswith(".py")]
    assert [span for span in sources if not PATH.fullmatch(span)] == [], "name it from the top, so that it is checked"


def test_the_page_about_the_code_names_every_package() -> None:
    named = set(PATH.findall(TEXTS[PAGES / "code.md"]))
    there = {f"murace/{item.parent.name}/" for item in (ROOT / "murace").glob("*/__init__.py")}
    assert there <= named


def test_the_readme_is_a_front_page() -> None:
    assert len(TEXTS[README].splitlines()) <= 180
    assert DISCLAIMER.partition(":")[0] in " ".join(TEXTS[README].split())
    assert {target for path, target in links() if path == README and target.endswith(".md")} == {
        page.relative_to(ROOT).as_posix() for page in TEXTS if page != README
    }


def test_the_quick_start_is_two_lines_and_ci_runs_the_second_to_the_letter() -> None:
    first, second = blocks(TEXTS[README], "sh")[0].strip().splitlines()
    assert first.endswith("murace demo")
    assert second in (ROOT / ".ci" / "run").read_text()


def test_the_paper_is_six_commands() -> None:
    lines = blocks(TEXTS[README], "sh")[1].strip().splitlines()
    assert [shlex.split(line)[1] for line in lines] == ["prepare", "train", "calibrate", "finetune", "evaluate", "cam"]


CELL = re.compile(r"(-?\d\.\d{3})(?: (-?[\d.]+)-(-?[\d.]+))?|(?<= )-(?= |$)")


def test_table_3_in_the_readme_is_what_evaluate_prints() -> None:
    """The numbers are read back and printed again: the form cannot grow old unnoticed."""
    (shown,) = blocks(TEXTS[README], "text")
    title, *lines = shown.splitlines()
    models = ["convnet", "resnet", "densenet", "resnet+densenet", "calibrated"]
    rows, metric = [], ""
    for line in lines[3:]:
        if not line.strip():
            continue
        metric = line[:10].strip() or metric
        group = line[10:].split()[0]
        cells = [cell.groups() for cell in CELL.finditer(line[10 + len(group) :])]
        assert len(cells) == len(models), line
        for model, (value, low, high) in zip(models, cells, strict=True):
            numbers = (float(number) if number else float("nan") for number in (value, low, high))
            rows.append((metric, group, model, *numbers))
    scores = pd.DataFrame(rows, columns=["metric", "group", "model", "value", "low", "high"])
    assert list(dict.fromkeys(scores["metric"])) == [str(metric) for metric in Metric]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(scores_table(scores, models, title=title))
    printed = [line.rstrip() for line in console.export_text().strip("\n").splitlines()]
    assert [line.rstrip() for line in shown.splitlines()] == printed


@pytest.mark.parametrize("topic", topics())
def test_a_page_has_a_title_a_short_sentence_and_fits_the_terminal(topic: str) -> None:
    page = read_page(topic)
    assert re.fullmatch(r"# [A-Z].*\n\n[A-Z][^.]*\.\n\n.*", page.text, flags=re.DOTALL)
    assert len(max(topics(), key=len)) + 2 + len(page.summary) <= NARROWEST
    assert page.text.endswith("\n")
    code = "".join(re.findall(r"^```\w*\n(.*?)^```", page.text, flags=re.DOTALL | re.MULTILINE))
    assert [line for line in code.splitlines() if len(line) > NARROWEST - FRAME] == []


def test_an_installation_holds_every_page() -> None:
    folder = files("murace") / "guide"
    assert {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir()} == {
        path.name: text for path, text in TEXTS.items() if path != README
    }
    targets = PROJECT["tool"]["hatch"]["build"]["targets"]
    assert targets["wheel"]["packages"] == ["murace"]  # all files in it
    assert "murace" in targets["sdist"]["include"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_plain_words(path: Path) -> None:
    """No placeholder is left, and the code is described in the words of the field."""
    assert not re.search(
        r"\b[A-Z]+_[A-Z]+\b", re.sub(r"MURACE_[A-Z]+|XR_[A-Z]+|`[^`]*`|```.*?```", "", TEXTS[path], flags=re.DOTALL)
    )
    assert [span for span in spans(TEXTS[path]) if "\n" in span] == []  # else the tests above do not see it
    assert re.findall(r"\b(?:houses?|rooms?|floors?)\b", TEXTS[path], flags=re.IGNORECASE) == []
