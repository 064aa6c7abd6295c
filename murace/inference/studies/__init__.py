"""New studies read with a panel: each opened, sent to its group's member, and answered. Nothing is drawn or written."""

from murace.inference.studies.groups import Assigned, assign_groups
from murace.inference.studies.journal import journal, kept
from murace.inference.studies.opened import OpenedStudy, RequestedStudy, open_studies
from murace.inference.studies.predict import StudyPrediction, predict_studies
from murace.inference.studies.route import GroupedStudy, require_group, route, wanted
from murace.inference.studies.rows import TEXTS, rows_of, tables

__all__ = [
    "TEXTS",
    "Assigned",
    "GroupedStudy",
    "OpenedStudy",
    "RequestedStudy",
    "StudyPrediction",
    "assign_groups",
    "journal",
    "kept",
    "open_studies",
    "predict_studies",
    "require_group",
    "route",
    "rows_of",
    "tables",
    "wanted",
]
