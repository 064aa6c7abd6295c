"""What calibrate is made from and what it has found, read without torch: typed again, the command answers at once."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from murace.config import CalibrateConfig, Machine, params
from murace.data.store import read_frame, read_index
from murace.errors import MuraceError
from murace.inference.recogniser.file import load_group_model
from murace.inference.recogniser.model import GroupModel
from murace.workspace import Record, Rerun, StepRun, decide, may_answer_from_record, writing
from murace.workspace.chain import finished_learners, require_step
from murace.workspace.paths import INDEX, MODEL, PIXELS, PREDICTIONS, Workspace
from murace.workspace.roster import read_roster

COLUMNS = ("level", "learner", "group", "metric", "value")  # of scores.csv
CONSUMED = (MODEL, PREDICTIONS)  # of each learner


@dataclass(frozen=True)
class CalibrationInputs:
    """The records of the data and of the learners to choose from; `notes` say which learner is left out."""

    prepared: Record
    learners: dict[str, Record]
    index: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def has_groups(self) -> bool:
        """Whether there are several groups, and so a recogniser of them to fit on the pixels."""
        return bool(self.index["group"].nunique() > 1)

    @property
    def consumed(self) -> dict[str, str]:
        """File in the workspace -> SHA-256."""
        parents = {"prepare": (self.prepared, (INDEX, PIXELS) if self.has_groups else (INDEX,))}
        parents |= {f"train/{learner}": (record, CONSUMED) for learner, record in self.learners.items()}
        return {
            f"{folder}/{name}": record.produced[name]["sha256"]
            for folder, (record, names) in parents.items()
            for name in names
        }

    def step_run(self, workspace: Workspace, config: CalibrateConfig) -> StepRun:
        """The run that would choose among these."""
        folder = workspace.calibrate.folder
        return StepRun(folder=folder, step="calibrate", params=params(config), consumed=self.consumed)


@dataclass(frozen=True)
class Calibrated:
    """Table 5 and the choice: `scores` as in `scores.csv`, `roster` as in `roster.json`, and the group recogniser."""

    skipped: bool
    scores: pd.DataFrame
    roster: dict[str, Any]
    recogniser: GroupModel | None
    notes: tuple[str, ...]


def require_inputs(workspace: Workspace) -> CalibrationInputs:
    """Check what the choice is made from, but for the pixels.

    Raises:
        WorkspaceError: the data or a learner is stale or damaged, or there is no finished learner.
    """
    prepared = require_step(workspace, "prepare", (INDEX,))
    learners, notes = finished_learners(workspace, CONSUMED)
    return CalibrationInputs(prepared, learners, read_index(workspace.prepare.index), notes)


def read_result(workspace: Workspace, inputs: CalibrationInputs, *, skipped: bool) -> Calibrated:
    """The result as it stands in the workspace.

    Raises:
        WorkspaceError: a file of it is damaged.
    """
    folder = workspace.calibrate
    scores, roster = read_frame(folder.scores, needs=COLUMNS), read_roster(folder.roster)
    recogniser = load_group_model(folder.recogniser) if inputs.has_groups else None
    return Calibrated(skipped, scores, roster, recogniser, inputs.notes)


def up_to_date(workspace: Workspace, config: CalibrateConfig, *, machine: Machine, rerun: Rerun) -> Calibrated | None:
    """The result of a finished and current calibration; None where the step has something to do, say or refuse."""
    if not may_answer_from_record(machine, rerun):
        return None
    try:
        inputs = require_inputs(workspace)
        with writing(workspace.calibrate.folder):
            is_current = decide(inputs.step_run(workspace, config), rerun).skips
            return read_result(workspace, inputs, skipped=True) if is_current else None
    except MuraceError:
        return None
