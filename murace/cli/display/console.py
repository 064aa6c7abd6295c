"""The console, the only place that prints: results to stdout; progress, remarks and errors to stderr."""

import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from murace.cli.display.plainbar import STOPPING, PlainBar
from murace.cli.options import WORKSPACE, listed
from murace.errors import DismissedError, Interrupted, MachineError, MuraceError, PeerLostError, UsageError
from murace.system.failures import machine_error
from murace.system.launch import launch, require_launch
from murace.system.progress import Bar, Reporter
from murace.system.signals import ALWAYS, stop_signals

if TYPE_CHECKING:
    from murace.cli.display.bars import Bars

LONGEST = 1000  # characters of a command that is repeated
WIDE = 160  # columns of a table that goes into a pipe or a file
READABLE = 100  # columns of a page of text at most: longer lines are hard to follow
CODE_THEME = "ansi_dark"  # colours of the terminal itself on its own background
PAGE_LINK = re.compile(r"\[([^]]+)\]\((?!https?://)[^)]*\)")
SHOW_CURSOR = "\x1b[?25h"
BROKEN_PIPE = 141  # 128 + SIGPIPE, which Windows lacks
ENDS_WITH_COMMAND = re.compile(r": murace (?:[^.:;()]|\.(?=\S))*$")  # 0.1 is in one, the end of a sentence is not


class Out(Console):
    """A stream; where its reader has gone (`| head`) the program ends as SIGPIPE would end it, without a traceback."""

    def on_broken_pipe(self) -> None:
        """Let nothing more be written, and leave."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
                continue
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(BROKEN_PIPE)


class ConsoleReporter(Reporter):
    """The reporter of a command: bars on a terminal, plain lines elsewhere. Of several processes one prints."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False, workspace: Path | None = WORKSPACE) -> None:
        super().__init__()
        self.quiet, self.as_json, self.workspace = quiet, as_json, workspace
        self.err = Out(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
        width = None if is_terminal(sys.stdout) or "COLUMNS" in os.environ else WIDE
        self.out = Out(highlight=False, markup=False, emoji=False, width=width)
        self.bars: Bars | None = None
        self.resumes = workspace is not None
        self.rank = launch().rank

    @property
    def has_bars(self) -> bool:
        """Whether stderr is a terminal that can redraw a line."""
        return is_terminal(sys.stderr) and not self.quiet and not self.rank and os.environ.get("TERM") != "dumb"

    def say(self, message: str) -> None:
        """Print a remark to stderr, unless quiet."""
        if not self.quiet and not self.rank:
            self.err.print(printable(message, keep="\n"))

    def warn(self, message: str) -> None:
        """Print a warning to stderr, also when quiet."""
        if not self.rank:
            self.err.print(f"warning: {self.complete(printable(message))}")

    def complete(self, message: str) -> str:
        """The message; where it ends with a command to type, with that command's `-w`."""
        if self.workspace is None or not ENDS_WITH_COMMAND.search(message):
            return message
        return message + option(self.workspace)

    def show(self, *renderables: RenderableType) -> None:
        """A result for people; with --json there is none. A line is never broken: it may hold a path."""
        if not self.as_json and not self.rank:
            for item in renderables:
                is_line = isinstance(item, str)
                self.out.print(Text(printable(item)) if isinstance(item, str) else item, soft_wrap=is_line)

    def show_markdown(self, text: str) -> None:
        """A page of Markdown: formatted on a terminal, where its links to other pages lead nowhere; else unchanged."""
        if not is_terminal(sys.stdout) or self.out.is_dumb_terminal:
            self.show(*text.splitlines())
            return
        from rich.constrain import Constrain
        from rich.markdown import Markdown

        self.show(Constrain(Markdown(PAGE_LINK.sub(r"\1", text), code_theme=CODE_THEME), width=READABLE))

    def result(self, values: Mapping[str, Any]) -> None:
        """The one JSON object, with --json."""
        if self.as_json and not self.rank:
            try:
                sys.stdout.write(json.dumps({"schema": 1, **values}, allow_nan=False) + "\n")
                sys.stdout.flush()  # a full disk shows here, not after the last line of the program
            except BrokenPipeError:
                self.out.on_broken_pipe()

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        """A bar on a terminal; elsewhere a line per advance, if `lines`."""
        if not self.has_bars:
            yield PlainBar(self.say, title, total, start) if lines else Bar()
            return
        from murace.cli.display.bars import Bars, RichBar

        outermost = self.bars is None
        if self.bars is None:
            self.bars = Bars(self.err, is_stopping=lambda: self.signum is not None)
            self.bars.start()
        task = self.bars.put(title, total, start)
        try:
            yield RichBar(self.bars, task, has_line=lines)
        finally:
            self.bars.remove_task(task)
            if outermost:
                self.bars.stop()
                self.bars = None


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream leads to a terminal that can redraw its lines.

    `!murace` in a notebook is given one, but what the notebook shows of it can only grow.
    """
    is_notebook = "inline" in os.environ.get("MPLBACKEND", "") or "JPY_PARENT_PID" in os.environ
    return stream.isatty() and not is_notebook


def printable(text: str, keep: str = "") -> str:
    """`text` with control characters spelled out: file names may hold anything, and a message is one line."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def option(workspace: Path) -> str:
    """The option `-w` that a command needs for that workspace; empty for the default one."""
    return "" if workspace == WORKSPACE else f" -w {shlex.quote(str(workspace))}"


@contextmanager
def running(
    *,
    quiet: bool = False,
    as_json: bool = False,
    workspace: Path | None = WORKSPACE,
    several: bool = False,
    resumes: bool | None = None,
    stop_on: str | None = None,
) -> Iterator[ConsoleReporter]:
    """Run a command: listen for signals, and turn what goes wrong into one line and an exit code.

    `several`: it may be one of several processes. `resumes`: it saves what it could go on from; by default that is so
    where there is a workspace. `stop_on`: signals that stop it as SIGTERM does, separated by commas.
    """
    console = ConsoleReporter(quiet=quiet, as_json=as_json, workspace=workspace)
    console.resumes = workspace is not None if resumes is None else resumes
    with ExitStack() as listening:
        listening.enter_context(_listening(console, ALWAYS))
        try:
            require_launch()
            _require_alone(several)
            listening.enter_context(_listening(console, stop_signals(listed([stop_on or ""]))))
            yield console
        except MuraceError as error:
            raise typer.Exit(refuse(console, error)) from None
        except typer.Exit:
            raise
        except Exception as error:
            machine = machine_error(error, saves=console.resumes)
            if machine is not None:
                raise typer.Exit(refuse(console, machine)) from None
            console.result(failure(error, str(error), 1))  # a bug: its traceback follows on stderr
            raise


def _require_alone(several: bool) -> None:
    if launch().size > 1 and not several:
        raise UsageError("this command runs in one process: start it without torchrun")


def refuse(console: ConsoleReporter, error: MuraceError) -> int:
    """Report an error in one line; returns the exit code."""
    if not _should_report(console, error):
        time.sleep(1)  # torchrun ends all processes when one has gone: the leading one is to speak first
        return error.exit_code
    if isinstance(error, Interrupted):
        done = "what was done is saved. To go on" if console.resumes else "nothing was saved. To start again"
        message = printable(f"{error}; {done}: {_same_command()}")
        console.err.print(message)
    else:
        message = console.complete(printable(str(error)))
        console.err.print(f"error{f' in process {console.rank}' if console.rank else ''}: {message}")
    try:
        console.result(failure(error, message, error.exit_code))
        sys.stdout.flush()
    except OSError:  # stdout goes to a full disk: nothing more is to be tried there at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return error.exit_code


def _should_report(console: ConsoleReporter, error: MuraceError) -> bool:
    """Of several processes the leading one reports an error that all have; another one only its own."""
    if isinstance(error, PeerLostError):
        return console.rank <= 1  # the second, should the lost one be the first
    return not console.rank or (isinstance(error, MachineError) and not isinstance(error, DismissedError))


def failure(error: Exception, message: str, exit_code: int) -> dict[str, Any]:
    """The entry of a command's JSON object about an error."""
    return {"error": {"kind": type(error).__name__, "message": message, "exit_code": exit_code}}


def _same_command() -> str:
    """The command line as typed, without what would start over; named only where it is as long as hundreds of paths."""
    dropped = sorted({"--fresh", "--force"} & set(sys.argv[1:]))
    line = f"{launch().command} {shlex.join(word for word in sys.argv[1:] if word not in dropped)}"
    if len(line) <= LONGEST:
        return line
    but = f" without {' and '.join(dropped)}" if dropped else ""
    return f"the same command again{but}"


@contextmanager
def _listening(console: ConsoleReporter, numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Record the first signal, for the step to check; let the second end the process at once.

    One of several processes may get the same signal twice, from the cluster and from torchrun, and torchrun ends it
    itself if it takes too long. A signal of `--stop-on` comes again from a cluster that sends it to a script and to its
    steps: only another one ends the process.
    """

    def note(signum: int, frame: FrameType | None) -> None:
        if console.signum is not None:
            if launch().size > 1 or (signum == console.signum and signum not in ALWAYS):
                return
            if sys.stderr.isatty():
                os.write(2, SHOW_CURSOR.encode())
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        console.signum = signum
        if console.bars is None and not console.rank:  # else they say it
            with suppress(OSError):  # whoever read it may have gone
                os.write(2, f"{STOPPING}\n".encode())

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            again = number == console.signum and number not in ALWAYS  # it may come once more before the process ends
            signal.signal(number, signal.SIG_IGN if again else handler)
