"""Studies with the map of their group's member over every view: what is drawn, and in which folder.

Pictures, maps and paths come in; nothing here knows a workspace.
"""

from murace.explain.overlays.draw import WAITING, WEIGHT, draw_all
from murace.explain.overlays.folder import RECORD, drawn_before, refuse_foreign
from murace.explain.overlays.folders import StudyToDraw, folder_of
from murace.explain.overlays.index import INDEX, drawn_folders, is_index_of, refuse_foreign_index, write_index

__all__ = [
    "INDEX",
    "RECORD",
    "WAITING",
    "WEIGHT",
    "StudyToDraw",
    "draw_all",
    "drawn_before",
    "drawn_folders",
    "folder_of",
    "is_index_of",
    "refuse_foreign",
    "refuse_foreign_index",
    "write_index",
]
