"""`murace guide`: the list of pages, a page on a terminal and in a pipe, and topics that are none."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from murace.cli.commands.guide import PAGES, read_page, topics
from murace.cli.display.console import ConsoleReporter
from tests.cli.terminal import Terminal, plain
from tests.cli.typed import PYTHON, answered, done, environment, refused


def test_without_a_topic_every_page_is_listed_with_its_sentence() -> None:
    result = done("guide")
    lines = result.stdout.splitlines()[2:]
    assert [line.split()[0] for line in lines] == topics() == sorted(path.stem for path in PAGES.glob("*.md"))
    for topic, line in zip(topics(), lines, strict=True):
        assert line.rstrip() == f"{topic:<11}  {read_page(topic).summary}"
    assert result.stderr == "to read one: murace guide TOPIC\n"
    assert done("guide", "--quiet").stderr == ""


@pytest.mark.parametrize("topic", topics())
def test_in_a_pipe_a_page_is_its_own_text(topic: str) -> None:
    result = done("guide", topic)
    assert (result.stdout, result.stderr) == ((PAGES / f"{topic}.md").read_text(), "")


def test_the_summary_is_the_first_sentence_without_marks() -> None:
    page = read_page("predict")
    assert page.title == "New patients"
    assert page.summary == "How murace predict reads new studies and recognises their region."


def test_json_is_one_object() -> None:
    told = answered("guide")
    assert (told["schema"], told["command"]) == (1, "guide")
    assert [page["name"] for page in told["topics"]] == topics()
    assert {"name": "dicom", "title": "DICOM", "summary": read_page("dicom").summary} in told["topics"]
    told = answered("guide", "dicom")
    assert (told["command"], told["topic"], told["title"]) == ("guide", "dicom", "DICOM")
    assert told["text"] == (PAGES / "dicom.md").read_text()
    assert json.loads(done("guide", "dicom", "--json", "-q").stdout) == told


def test_a_topic_that_is_none_is_usage_with_the_closest() -> None:
    assert refused(2, "guide", "dicm") == "unknown topic 'dicm'; did you mean 'dicom'?"
    assert refused(2, "guide", "\x1b[31m").startswith("unknown topic '\\x1b[31m'; known: audit, cam, ")
    assert refused(2, "guide", "../guide/dicom").startswith("unknown topic '../guide/dicom'")


def test_letters_may_be_of_either_case() -> None:
    assert done("guide", "DICOM").stdout == done("guide", "dicom").stdout


def test_it_needs_no_workspace_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MURACE_WORKSPACE", "/dev/null/nowhere")
    done("guide")
    done("guide", "resume")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def formatted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str, int], str]:
    """What a terminal of so many columns shows of a Markdown text."""

    def show(text: str, columns: int = 80) -> str:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", str(columns))
        ConsoleReporter().show_markdown(text)
        return plain(capsys.readouterr().out)

    return show


@pytest.mark.parametrize("topic", topics())
def test_on_a_terminal_a_page_is_formatted_and_fits(topic: str, formatted: Callable[..., str]) -> None:
    page = read_page(topic)
    seen = formatted(page.text)
    assert page.title in seen
    assert [mark for mark in ("```", "**", ".md)", "|--") if mark in seen] == []
    assert max(map(len, seen.splitlines())) <= 80
    words = set(re.findall(r"\b[a-z]{3,9}\b", re.sub(r"\]\([^)]*\)", "", page.text)))
    assert words - set(re.findall(r"[a-z]+", seen)) <= {"csv", "sh", "text"}


def test_lines_are_no_longer_than_can_be_read(formatted: Callable[..., str]) -> None:
    seen = formatted(read_page("security").text, 180)
    assert 90 < max(len(line.rstrip()) for line in seen.splitlines()) <= 100


def test_a_link_to_a_page_is_its_words_and_one_to_the_web_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], formatted: Callable[..., str]
) -> None:
    assert formatted("[murace guide dicom](dicom.md#read), here\n").strip() == "murace guide dicom, here"
    ConsoleReporter().show_markdown("[paper](https://doi.org/10.1)\n")
    assert "https://doi.org/10.1" in capsys.readouterr().out


@pytest.mark.parametrize(("term", "is_formatted"), [("xterm-256color", True), ("dumb", False)])
def test_in_a_real_terminal(term: str, is_formatted: bool, tmp_path: Path) -> None:
    with Terminal([*PYTHON, "guide", "dicom"], cwd=tmp_path, env=environment(TERM=term), columns=80) as terminal:
        seen = plain(terminal.read_until(lambda _: False, seconds=30)).replace("\r", "")
    assert (seen == read_page("dicom").text) is not is_formatted
    assert ("# DICOM" in seen) is not is_formatted
    assert "Refused, with a reason:" in " ".join(seen.replace("*", "").split())
