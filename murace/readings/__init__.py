"""New studies read with a panel: each opened, sent to its group's member, and answered. Nothing is drawn or written."""

from murace.readings.groups import Assigned, assign_groups
from murace.readings.journal import journal, kept
from murace.readings.opened import Opened, Wanted, open_all
from murace.readings.route import Routed, require_group, route, wanted
from murace.readings.rows import TEXTS, rows_of, tables
from murace.readings.study import Reading, read_studies

__all__ = [
    "TEXTS",
    "Assigned",
    "Opened",
    "Reading",
    "Routed",
    "Wanted",
    "assign_groups",
    "journal",
    "kept",
    "open_all",
    "read_studies",
    "require_group",
    "route",
    "rows_of",
    "tables",
    "wanted",
]
