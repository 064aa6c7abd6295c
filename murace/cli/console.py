"""The only place that prints: results to stdout; progress, remarks and errors to stderr."""

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from murace.errors import Interrupted, MuraceError
from murace.watch import Bar, Watch

WIDE = 160  # columns of a table that goes into a pipe or a file
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


class Voice(Watch):
    """What a command says while it runs: bars on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        super().__init__()
        self.quiet, self.as_json = quiet, as_json
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)
        self.out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
        self.bars: Progress | None = None

    @property
    def has_bars(self) -> bool:
        """Whether stderr is a terminal that can redraw a line."""
        return sys.stderr.isatty() and not self.quiet and os.environ.get("TERM") != "dumb"

    def say(self, message: str) -> None:
        """A remark, unless quiet."""
        if not self.quiet:
            self.err.print(message, markup=False)

    def warn(self, message: str) -> None:
        """A remark that is shown even when quiet."""
        self.err.print(f"warning: {message}", markup=False)

    def show(self, *renderables: RenderableType) -> None:
        """A result for people; with --json there is none."""
        if not self.as_json:
            for renderable in renderables:
                self.out.print(renderable)

    def result(self, values: Mapping[str, Any]) -> None:
        """The one JSON object, with --json."""
        if self.as_json:
            sys.stdout.write(json.dumps({"schema": 1, **values}, ensure_ascii=False, allow_nan=False) + "\n")

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        """A bar on a terminal; elsewhere a line per advance, if `lines`."""
        if not self.has_bars:
            yield PlainBar(self, title, total, start) if lines else Bar()
            return
        outermost = self.bars is None
        if self.bars is None:
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}"),
                console=self.err,
                transient=True,
            )
            self.bars.start()
        task = self.bars.add_task(title, total=total, completed=start, note="")
        try:
            yield RichBar(self, self.bars, task, lines=lines)
        finally:
            self.bars.remove_task(task)
            if outermost:
                self.bars.stop()
                self.bars = None


@contextmanager
def running(*, quiet: bool = False, as_json: bool = False) -> Iterator[Voice]:
    """Run a command: listen for signals, and turn what goes wrong into one line and an exit code."""
    voice = Voice(quiet=quiet, as_json=as_json)
    with _listening(voice):
        try:
            yield voice
        except MuraceError as error:
            _report(voice, error)
            raise typer.Exit(error.exit_code) from None


def _report(voice: Voice, error: MuraceError) -> None:
    message = str(error)
    if isinstance(error, Interrupted):
        message = f"{message}; what was done is saved. To go on: {_same_command()}"
    voice.err.print(message if isinstance(error, Interrupted) else f"error: {message}", markup=False)
    voice.result({"error": {"kind": type(error).__name__, "message": message, "exit_code": error.exit_code}})


def _same_command() -> str:
    """The command line as typed, without what would start over."""
    return shlex.join(["murace", *(word for word in sys.argv[1:] if word not in ("--fresh", "--force"))])


@contextmanager
def _listening(voice: Voice) -> Iterator[None]:
    """Note the first signal for the step to see; let the second end the process at once."""

    def note(signum: int, frame: FrameType | None) -> None:
        if voice.signum is not None:
            if sys.stderr.isatty():
                os.write(2, SHOW_CURSOR.encode())
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        voice.signum = signum
        os.write(2, b"\nstopping at the next safe point (again to stop at once)\n")

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
