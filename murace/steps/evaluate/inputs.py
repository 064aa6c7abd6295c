"""Who takes part when the ensemble answers: the records of every learner and member, checked, and their digests."""

from dataclasses import dataclass

import pandas as pd

from murace.data.store import read_frame, read_index
from murace.errors import WorkspaceError
from murace.inference.combine import PAIR, combine, models_of
from murace.nets.forward import Probabilities
from murace.vocabulary import CALIBRATED, RESNET_DENSENET, Split
from murace.workspace import EPOCHS, FACTS, Record, read, require
from murace.workspace.chain import finished_learners, require_choice, require_step
from murace.workspace.commands import command
from murace.workspace.paths import FitFolder, Workspace
from murace.workspace.roster import read_roster

ASKED = ("index.csv", "pixels.npy"), ("model.safetensors", "predictions.csv")  # what the answers are made of
PREPARED = (*ASKED[0], "counts.csv")
FITTED = (*ASKED[1], "history.csv")
CHOICE = ("roster.json", "scores.csv")


@dataclass(frozen=True)
class Lineup:
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
        """What they make, in the order of the tables."""
        return models_of(list(self.learners))

    @property
    def consumed(self) -> dict[str, str]:
        """File in the workspace, or part of one -> SHA-256: all that the report shows, without clocks."""
        fitted = (*ASKED[1], EPOCHS)
        parts = {"prepare": (self.prepared, PREPARED), "calibrate": (self.choice, CHOICE)}
        parts |= {folder: (record, fitted) for folder, record in self.nets.items()}
        return {
            f"{folder}/{name}": record.digests(folder)[f"{folder}/{name}"]
            for folder, (record, names) in parts.items()
            for name in (*names, FACTS)
        }

    @property
    def asked(self) -> dict[str, str]:
        """The part of `consumed` that the answers about the test images depend on."""
        names = [f"prepare/{name}" for name in ASKED[0]]
        names += [f"{folder}/{name}" for folder in self.nets for name in (*ASKED[1], FACTS)]
        consumed = self.consumed
        return {name: consumed[name] for name in names}

    @property
    def weights(self) -> dict[str, dict[str, str]]:
        """Model -> file of weights that it is made of -> SHA-256."""
        makers = {name: [f"train/{name}"] for name in self.learners}
        makers[RESNET_DENSENET] = [f"train/{name}" for name in PAIR]
        makers[CALIBRATED] = [f"finetune/{group}" for group in self.members]
        consumed = self.consumed
        names = {model: [f"{folder}/model.safetensors" for folder in makers[model]] for model in self.models}
        return {model: {name: consumed[name] for name in files} for model, files in names.items()}


def require_lineup(workspace: Workspace) -> Lineup:
    """Check everything that the ensemble is made of but the pixels, which whoever asks the nets reads.

    Raises:
        WorkspaceError: a part is missing, unfinished, stale or damaged; the message names the command that mends it.
    """
    prepared = require_step(workspace, "prepare", ("index.csv", "counts.csv"))
    learners, notes = finished_learners(workspace, FITTED)
    choice = require_choice(workspace)
    members = {
        group: require(workspace.finetune(group).folder, _mend(workspace, group), FITTED)
        for group in sorted(read_roster(workspace.calibrate.roster)["groups"])
    }
    return Lineup(prepared, learners, choice, members, notes)


def _mend(workspace: Workspace, group: str) -> str:
    """The command that makes a member whole; one that never kept its validation predictions counts as up to date."""
    try:
        record = read(workspace.finetune(group).folder)
    except WorkspaceError:
        record = None  # `require` says so
    lacks = record is not None and not set(FITTED) <= set(record.produced)
    return command(workspace, f"finetune/{group}") + (" --force" if lacks else "")


def validation(workspace: Workspace, lineup: Lineup) -> pd.DataFrame:
    """The validation images with a probability column for every model, as the nets gave them when they were trained.

    Raises:
        WorkspaceError: a net was scored on other images.
    """
    index = read_index(workspace.prepare.index)
    images = index[index["split"] == Split.VALIDATION]
    learners = {name: _column(workspace.train(name), name, images) for name in lineup.learners}
    members = {
        group: _column(workspace.finetune(group), CALIBRATED, images[images["group"] == group])
        for group in lineup.members
    }
    return combine(images, learners, members)


def _column(folder: FitFolder, name: str, images: pd.DataFrame) -> Probabilities:
    frame = read_frame(folder.predictions, needs=("row", name))
    if frame["row"].tolist() != images["row"].tolist():
        raise WorkspaceError(f"{folder.predictions} is about other images. Run the step that writes it with --fresh")
    return frame[name].to_numpy(dtype="float64")
