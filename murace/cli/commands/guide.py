"""`murace guide`."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from murace.cli import options
from murace.cli.display.console import running
from murace.errors import UsageError
from murace.vocabulary import closest

PAGES = Path(__file__).parents[2] / "guide"


@dataclass(frozen=True)
class Page:
    """A page of the guide: its title, the first sentence below it, and the whole Markdown text."""

    title: str
    summary: str
    text: str


def topics() -> list[str]:
    """The topics, one for each page, by the alphabet."""
    return sorted(path.stem for path in PAGES.glob("*.md"))


def read_page(topic: str) -> Page:
    """The page of a topic. It begins with `# Title`, an empty line and a sentence."""
    text = (PAGES / f"{topic}.md").read_text(encoding="utf-8")
    title, _, body = text.partition("\n\n")
    sentence = re.split(r"(?<=\.)\s", body, maxsplit=1)[0]
    return Page(title.removeprefix("# "), " ".join(sentence.replace("`", "").split()), text)


def _completed(incomplete: str) -> list[tuple[str, str]]:
    """Topics for Tab, each with its sentence for the shells that show one."""
    return [(topic, read_page(topic).summary) for topic in topics() if topic.startswith(incomplete)]


Topic = Annotated[
    str | None,
    typer.Argument(
        metavar="TOPIC", help="The page to read; without one, all are listed.", autocompletion=_completed,
        show_default=False,
    ),
]  # fmt: skip


def guide(topic: Topic = None, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Read the manual: list its topics, or show the page of one.

    On a terminal a page is formatted; in a pipe or a file it is the plain Markdown text.

    Example: murace guide resume
    """
    with running(quiet=quiet, as_json=as_json, workspace=None) as console:
        if topic is None:
            pages = {name: read_page(name) for name in topics()}
            from murace.cli.display.tables import plain_table

            table = plain_table()
            table.add_column("topic")
            table.add_column("what it tells")
            for name, page in pages.items():
                table.add_row(Text(name, style="bold"), page.summary)
            console.show(table)
            if not as_json:
                console.say("to read one: murace guide TOPIC")
            listed = [{"name": name, "title": page.title, "summary": page.summary} for name, page in pages.items()]
            console.result({"command": "guide", "topics": listed})
            return
        name = topic.lower()
        if name not in topics():
            raise UsageError(f"unknown topic '{topic}'{closest(name, topics())}")
        page = read_page(name)
        console.show_markdown(page.text)
        console.result({"command": "guide", "topic": name, **asdict(page)})
