"""What evaluate is made from and what it has found, read without torch: typed again, the command answers at once."""

from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from murace.config import EvaluateConfig, Machine, params
from murace.data.store import read_frame, read_index
from murace.errors import MuraceError, WorkspaceError
from murace.inference.combine import PAIR, combine, models_of
from murace.metrics.analysis import Analysis
from murace.metrics.scores import Probabilities
from murace.vocabulary import CALIBRATED, RESNET_DENSENET, Split
from murace.workspace import (
    EPOCHS,
    FACTS,
    Record,
    Rerun,
    StepRun,
    decide,
    may_answer_from_record,
    read,
    read_sound,
    writing,
)
from murace.workspace.chain import finished_learners, require_choice, require_step
from murace.workspace.commands import command
from murace.workspace.paths import (
    COUNTS,
    HISTORY,
    INDEX,
    MODEL,
    PIXELS,
    PREDICTIONS,
    ROSTER,
    SCORES,
    FitFolder,
    Workspace,
)
from murace.workspace.roster import read_roster
from murace.workspace.status import require

# What the predictions depend on, of `prepare` and of each net; the report shows more.
PREDICTED_FROM = (INDEX, PIXELS), (MODEL, PREDICTIONS)
PREPARED = (*PREDICTED_FROM[0], COUNTS)
FITTED = (*PREDICTED_FROM[1], HISTORY)
CHOICE = (ROSTER, SCORES)
TABLES = (*(item.name for item in fields(Analysis)), "operating", "flow")  # `NAME.csv` each
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class EvaluationInputs:
    """The records of the data, the learners, the choice and the members; `notes` say which learner is left out."""

    prepared: Record
    learners: dict[str, Record]
    choice: Record
    members: dict[str, Record]
    notes: tuple[str, ...]

    @property
    def nets(self) -> dict[str, Record]:
        """Folder in the workspace -> record, of each learner and member."""
        learners = {f"train/{name}": record for name, record in self.learners.items()}
        return learners | {f"finetune/{name}": record for name, record in self.members.items()}

    @property
    def models(self) -> list[str]:
        """The models that these nets make, in the order of the tables."""
        return models_of(list(self.learners))

    @property
    def consumed(self) -> dict[str, str]:
        """File in the workspace, or part of one -> SHA-256: all that the report shows, without clocks."""
        fitted = (*PREDICTED_FROM[1], EPOCHS)
        parts = {"prepare": (self.prepared, PREPARED), "calibrate": (self.choice, CHOICE)}
        parts |= {folder: (record, fitted) for folder, record in self.nets.items()}
        return {
            f"{folder}/{name}": record.digests(folder)[f"{folder}/{name}"]
            for folder, (record, names) in parts.items()
            for name in (*names, FACTS)
        }

    @property
    def predicted_from(self) -> dict[str, str]:
        """The part of `consumed` that the predictions of the test images depend on."""
        names = [f"prepare/{name}" for name in PREDICTED_FROM[0]]
        names += [f"{folder}/{name}" for folder in self.nets for name in (*PREDICTED_FROM[1], FACTS)]
        consumed = self.consumed
        return {name: consumed[name] for name in names}

    @property
    def weights(self) -> dict[str, dict[str, str]]:
        """Model -> file of weights that it is made of -> SHA-256."""
        makers = {name: [f"train/{name}"] for name in self.learners}
        makers[RESNET_DENSENET] = [f"train/{name}" for name in PAIR]
        makers[CALIBRATED] = [f"finetune/{group}" for group in self.members]
        consumed = self.consumed
        names = {model: [f"{folder}/{MODEL}" for folder in makers[model]] for model in self.models}
        return {model: {name: consumed[name] for name in files} for model, files in names.items()}

    def step_run(self, workspace: Workspace, config: EvaluateConfig) -> StepRun:
        """The run that would evaluate these."""
        folder = workspace.evaluate
        return StepRun(
            folder=folder.folder,
            step="evaluate",
            params=params(config),
            consumed=self.consumed,
            scratch=folder.partial,
        )


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found: its `tables` by name (`scores` is Table 3, long), and where the report is."""

    skipped: bool
    tables: Frames
    models: tuple[str, ...]
    report: Path
    notes: tuple[str, ...]


def require_inputs(workspace: Workspace) -> EvaluationInputs:
    """Check everything that is evaluated but the pixels, which only a run that predicts reads.

    Raises:
        WorkspaceError: a part is missing, unfinished, stale or damaged; the message ends with the command to run.
    """
    prepared = require_step(workspace, "prepare", (INDEX, COUNTS))
    learners, notes = finished_learners(workspace, FITTED)
    choice = require_choice(workspace)
    members = {
        group: require(workspace.finetune(group).folder, _finetune_command(workspace, group), FITTED)
        for group in sorted(read_roster(workspace.calibrate.roster)["groups"])
    }
    return EvaluationInputs(prepared, learners, choice, members, notes)


def _finetune_command(workspace: Workspace, group: str) -> str:
    """The command that makes a member whole; one that never kept its validation predictions counts as up to date."""
    record = read_sound(workspace.finetune(group).folder)  # where it is damaged, `require` says so
    lacks = record is not None and not set(FITTED) <= set(record.produced)
    return command(workspace, f"finetune/{group}") + (" --force" if lacks else "")


def validation(workspace: Workspace, inputs: EvaluationInputs) -> pd.DataFrame:
    """The validation images with a probability column for every model, as predicted when the nets were trained.

    Raises:
        WorkspaceError: a net was scored on other images.
    """
    index = read_index(workspace.prepare.index)
    images = index[index["split"] == Split.VALIDATION]
    learners = {name: _column(workspace.train(name), name, images) for name in inputs.learners}
    members = {
        group: _column(workspace.finetune(group), CALIBRATED, images[images["group"] == group])
        for group in inputs.members
    }
    return combine(images, learners, members)


def _column(folder: FitFolder, name: str, images: pd.DataFrame) -> Probabilities:
    frame = read_frame(folder.predictions, needs=("row", name))
    if frame["row"].tolist() != images["row"].tolist():
        raise WorkspaceError(f"{folder.predictions} is about other images. Run the step that writes it with --fresh")
    return frame[name].to_numpy(dtype="float64")


def lacks_tables(workspace: Workspace) -> bool:
    """Whether the evaluation in the workspace was made by an older murace, which did not write all of these tables."""
    record = read(workspace.evaluate.folder)
    return record is not None and not {workspace.evaluate.table(name).name for name in TABLES} <= set(record.produced)


def read_result(workspace: Workspace, inputs: EvaluationInputs, *, skipped: bool) -> Evaluated:
    """The result as it stands in the workspace.

    Raises:
        WorkspaceError: a table of it is damaged.
    """
    folder = workspace.evaluate
    found = {name: read_frame(folder.table(name)) for name in TABLES}
    return Evaluated(skipped, found, tuple(inputs.models), folder.report, inputs.notes)


def up_to_date(workspace: Workspace, config: EvaluateConfig, *, machine: Machine, rerun: Rerun) -> Evaluated | None:
    """The result of a finished and current evaluation; None where the step has something to do, say or refuse."""
    if not may_answer_from_record(machine, rerun):
        return None
    try:
        inputs = require_inputs(workspace)
        with writing(workspace.evaluate.folder):
            is_current = decide(inputs.step_run(workspace, config), rerun).skips and not lacks_tables(workspace)
            return read_result(workspace, inputs, skipped=True) if is_current else None
    except MuraceError:
        return None
