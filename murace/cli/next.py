"""What to type next, said at the end of every step."""

from typing import Any

from murace.chain import links, next_command
from murace.cli.console import Voice, option
from murace.errors import MuraceError
from murace.workspace import Workspace


def finish(voice: Voice, workspace: Workspace, values: dict[str, Any]) -> None:
    """Close a command: the next one on stderr, or in the JSON object."""
    try:
        command = next_command(links(workspace))
    except MuraceError:
        command = "murace status"
    if command is not None:
        command = f"{command}{option(workspace.root)}"
        if not voice.as_json:
            voice.say(f"next: {command}")
    voice.result({**values, "workspace": str(workspace.root), "next": command})
