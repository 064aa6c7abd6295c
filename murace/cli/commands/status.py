"""`murace status`."""

from rich import box
from rich.table import Table
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
        from murace.workspace.chain import links
        from murace.workspace.paths import Workspace

        space = Workspace(workspace)
        chain = links(space)
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for name in ("step", "state", "why"):
            table.add_column(name)
        for link in chain:
            state = str(link.state)
            table.add_row(link.name, Text(state, style=STYLES[state]), "; ".join(link.reasons))
        console.show(table)
        steps = [{"step": link.name, "state": str(link.state), "reasons": list(link.reasons)} for link in chain]
        finish(console, space, {"command": "status", "steps": steps})
