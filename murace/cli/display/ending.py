"""How a command ends: its JSON result, the next command to type, and the error and exit code of a partial failure."""

from collections.abc import Mapping
from typing import Any

import typer

from murace.cli.display.console import ConsoleReporter, failure, option, printable
from murace.errors import MuraceError
from murace.workspace.chain import next_command, step_statuses
from murace.workspace.paths import Workspace


def end(console: ConsoleReporter, values: Mapping[str, Any], error: MuraceError | None) -> None:
    """End a command with its results; where a part of them failed, with `error` beside them and its exit code."""
    if error is None:
        console.result(values)
        return
    message = console.complete(printable(str(error)))
    if not console.rank:
        console.err.print(f"error: {message}")
    console.result({**values, **failure(error, message, error.exit_code)})
    raise typer.Exit(error.exit_code)


def finish(console: ConsoleReporter, workspace: Workspace, values: dict[str, Any]) -> None:
    """End a command with its results and the next command of the chain, on stderr or in the JSON object."""
    try:
        command = next_command(step_statuses(workspace))
    except MuraceError:
        command = "murace status"
    here = option(workspace.root)
    command = command and f"{command}{here}"
    if not console.as_json:
        done = f"everything is done; to read new studies: murace predict STUDIES{here}"
        console.say(f"next: {command}" if command else done)
    console.result({**values, "workspace": str(workspace.root), "next": command})
