"""Report an error of the parser as every other error: one line, exit code 2, and JSON where that is asked for."""

import sys
from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.core import TyperGroup

from murace.cli.display.console import ConsoleReporter, refuse
from murace.errors import UsageError

# What typer's parser raises; of that family typer exports this child alone.
ParserError = cast("type[Exception]", typer.BadParameter.__bases__[0])


class Commands(TyperGroup):
    """The group of commands; errors of the parser are one line instead of typer's framed panel."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Run, and end the process with the exit code, unless called with `standalone_mode=False`."""
        words = list(sys.argv[1:] if args is None else args)
        if not words or not options.get("standalone_mode", True):  # without a word the help is shown
            return super().main(words, *more, **options)
        try:
            sys.exit(super().main(words, *more, **{**options, "standalone_mode": False}))
        except ParserError as error:
            sys.exit(refuse(ConsoleReporter(quiet=False, as_json="--json" in words), UsageError(_in_one_line(error))))


def _in_one_line(error: Any) -> str:
    message = " ".join(error.format_message().split())
    stop = "" if message.endswith((".", "?")) else "."
    context = getattr(error, "ctx", None)
    return f"{message}{stop} See: {context.command_path if context else 'murace'} --help"
