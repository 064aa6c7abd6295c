"""Who answers about new studies: a member for each group, how its probability is read out, and who recognises groups.

It comes from a workspace, or from one file that was handed over.
"""

from murace.inference.ensemble.from_file import FileEnsemble
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.ensemble.interface import Ensemble

__all__ = ["Ensemble", "FileEnsemble", "WorkspaceEnsemble"]
