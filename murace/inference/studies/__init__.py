"""New studies read with a panel: each opened, sent to its group's member, and answered. Nothing is drawn or written."""

from murace.inference.studies.answer import StudyPrediction, predict_studies
from murace.inference.studies.groups import Assigned, assign_groups
from murace.inference.studies.journal import journal, kept
from murace.inference.studies.opened import Opened, Wanted, open_all
from murace.inference.studies.route import Routed, require_group, route, wanted
from murace.inference.studies.rows import TEXTS, rows_of, tables

__all__ = [
    "TEXTS",
    "Assigned",
    "Opened",
    "Routed",
    "StudyPrediction",
    "Wanted",
    "assign_groups",
    "journal",
    "kept",
    "open_all",
    "predict_studies",
    "require_group",
    "route",
    "rows_of",
    "tables",
    "wanted",
]
