"""What to type next, said at the end of every step."""

from typing import Any

from murace.cli.display.console import Voice, option
from murace.errors import MuraceError
from murace.workspace.chain import links, next_command
from murace.workspace.paths import Workspace


def finish(voice: Voice, workspace: Workspace, values: dict[str, Any]) -> None:
    """Close a command: the next one on stderr, or in the JSON object."""
    try:
        command = next_command(links(workspace))
    except MuraceError:
        command = "murace status"
    here = option(workspace.root)
    command = command and f"{command}{here}"
    if not voice.as_json:
        done = f"everything is done; to read new studies: murace predict STUDIES{here}"
        voice.say(f"next: {command}" if command else done)
    voice.result({**values, "workspace": str(workspace.root), "next": command})
