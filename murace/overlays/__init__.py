"""Studies with the map of their group's member over every view: who answers, what is drawn, and in which folder.

Pictures, maps and paths come in; nothing here knows a workspace.
"""

from murace.overlays.folder import Member, refuse_foreign
from murace.overlays.gallery import Drawn, draw_all

__all__ = ["Drawn", "Member", "draw_all", "refuse_foreign"]
