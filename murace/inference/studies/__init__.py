"""New studies and an ensemble: each study gets its group and that group's member's prediction."""

from murace.inference.studies.groups import GroupedStudy, assign_groups, requested, require_group
from murace.inference.studies.journal import journal, kept
from murace.inference.studies.predict import StudyPrediction, predict_studies
from murace.inference.studies.rows import TEXTS, rows_of, tables

__all__ = [
    "TEXTS",
    "GroupedStudy",
    "StudyPrediction",
    "assign_groups",
    "journal",
    "kept",
    "predict_studies",
    "requested",
    "require_group",
    "rows_of",
    "tables",
]
