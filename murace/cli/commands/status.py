"""`murace status`."""

from rich.text import Text

from murace.cli import options
from murace.cli.display.console import running

STYLES = {"done": "green", "missing": "dim", "partial": "yellow", "stale": "yellow", "damaged": "red"}


def status(
    workspace: options.WorkspaceOption = options.WORKSPACE,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Show which steps are done, stale, unfinished or missing, and what to type next.

    Example: murace status
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as console:
        from murace.cli.display.ending import finish
        from murace.cli.display.tables import plain_table
        from murace.workspace.chain import step_statuses
        from murace.workspace.paths import Workspace

        space = Workspace(workspace)
        statuses = step_statuses(space)
        table = plain_table()
        for name in ("step", "state", "why"):
            table.add_column(name)
        for one in statuses:
            state = str(one.state)
            table.add_row(one.name, Text(state, style=STYLES[state]), "; ".join(one.reasons))
        console.show(table)
        steps = [{"step": one.name, "state": str(one.state), "reasons": list(one.reasons)} for one in statuses]
        finish(console, space, {"command": "status", "steps": steps})
