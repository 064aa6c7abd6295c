"""Who answers about new studies: a member for each group, how its probability is read out, and who recognises groups.

It comes from a workspace, or from one file that was handed over.
"""

from murace.panel.file import FilePanel
from murace.panel.members import Panel
from murace.panel.workspace import WorkspacePanel

__all__ = ["FilePanel", "Panel", "WorkspacePanel"]
