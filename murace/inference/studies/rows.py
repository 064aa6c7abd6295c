"""The two tables of predictions: a row for each study, a row for each view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from murace.data.studies.names import harmless, shown
from murace.inference.studies.predict import StudyPrediction

STUDY_COLUMNS = (
    "study",
    "group",
    "group_source",
    "group_confidence",
    "learner",
    "probability",
    "probability_calibrated",
    "decision",
    "threshold",
    "views",
    "unreadable",
    "seconds",
    "warning",
    "problem",
)
ID_COLUMNS = ("patient_id", "study_uid")
TEXTS = ("study", *ID_COLUMNS, "group", "group_source", "learner", "decision", "warning", "problem", "view", "sha256")
VIEW_COLUMNS = ("study", "view", "probability", "sha256", "problem")


@dataclass(frozen=True)
class Rows:
    """A study's rows of the two tables, and its number in the list: what the journal keeps."""

    number: int
    study: dict[str, Any]
    views: list[dict[str, Any]]

    @property
    def is_sound(self) -> bool:
        """Whether it has the form of rows; one that was read back may have any."""
        rows = [self.study, *self.views] if isinstance(self.views, list) else []
        return type(self.number) is int and bool(rows) and all(isinstance(row, dict) for row in rows)


def rows_of(prediction: StudyPrediction, *, threshold: float, show_ids: bool) -> Rows:
    """The rows of a prediction; `threshold` is of the raw probability, and abnormal is at or above it.

    The identifiers of a DICOM file stand in the row only with `show_ids`.
    """
    grouped, opened = prediction.study, prediction.study.opened
    files, chance = opened.request.files, prediction.probability
    ids = (
        {"patient_id": harmless(files.patient or ""), "study_uid": harmless(files.study_uid or "")} if show_ids else {}
    )
    study = {
        "study": files.name,
        **ids,
        "group": grouped.group or "",
        "group_source": grouped.source,
        "group_confidence": grouped.confidence,
        "learner": prediction.learner or "",
        "probability": chance,
        "probability_calibrated": prediction.calibrated,
        "decision": "" if chance is None else "abnormal" if chance >= threshold else "normal",
        "threshold": threshold,
        "views": int(opened.copies.counted.sum()),
        "unreadable": sum(map(bool, opened.views.faults)),
        "seconds": round(prediction.seconds, 4),
        "warning": grouped.remarks,
        "problem": prediction.problem,
    }
    chances = iter(prediction.views)
    views = [
        {
            "study": files.name,
            "view": shown(path),
            "probability": None if fault else next(chances, None),
            "sha256": digest,
            "problem": fault,
        }
        for path, digest, fault in zip(files.views, opened.views.sha256, opened.views.faults, strict=True)
    ]
    return Rows(opened.request.number, study, views)


def tables(rows: Mapping[int, Rows], *, show_ids: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The studies' and the views' table, in the order of the list."""
    ordered = [rows[number] for number in sorted(rows)]
    columns = (STUDY_COLUMNS[0], *(ID_COLUMNS if show_ids else ()), *STUDY_COLUMNS[1:])
    studies = pd.DataFrame([one.study for one in ordered], columns=list(columns))
    return studies, pd.DataFrame([view for one in ordered for view in one.views], columns=list(VIEW_COLUMNS))
