"""A command that did most of what it was asked for: its results, what is wrong with the rest, and the exit code."""

from collections.abc import Mapping
from typing import Any, NoReturn

import typer

from murace.cli.display.console import Voice, failure, printable
from murace.errors import MuraceError


def end(voice: Voice, values: Mapping[str, Any], error: MuraceError | None) -> None:
    """Close a command with its results, and with `error` where something is wrong with a part of them."""
    if error is not None:
        end_with(voice, values, error)
    voice.result(values)


def end_with(voice: Voice, values: Mapping[str, Any], error: MuraceError) -> NoReturn:
    """Say what is wrong, beside the results in the one JSON object, and leave with the error's exit code."""
    message = voice.complete(printable(str(error)))
    if not voice.rank:
        voice.err.print(f"error: {message}")
    voice.result({**values, **failure(error, message, error.exit_code)})
    raise typer.Exit(error.exit_code)
