"""The names of all files and folders of a workspace; no other module spells one."""

from dataclasses import dataclass
from pathlib import Path

RECORD, BEGUN = "step.json", "begun.json"  # of a finished step, of an unfinished run
INDEX, PIXELS, COUNTS, FINGERPRINTS = "index.csv", "pixels.npy", "counts.csv", "fingerprints.csv"  # of `prepare`
MODEL, HISTORY = "model.safetensors", "history.csv"  # of `train` and `finetune`
PREDICTIONS = "predictions.csv"  # of `train` and `finetune` on validation images, of `evaluate` on test images
SCORES = "scores.csv"  # of `calibrate` on validation, of `evaluate` on test
ROSTER, RECOGNISER = "roster.json", "recogniser.safetensors"  # of `calibrate`
OPERATING, CARD = "operating.json", "MODEL_CARD.md"  # of `evaluate`


@dataclass(frozen=True)
class PrepareFolder:
    """`WORKSPACE/prepare`."""

    folder: Path

    @property
    def index(self) -> Path:
        """The table of images: `row` i describes `pixels[i]`."""
        return self.folder / INDEX

    @property
    def pixels(self) -> Path:
        """uint8 [N, size, size]."""
        return self.folder / PIXELS

    @property
    def counts(self) -> Path:
        """Table 1 of this data."""
        return self.folder / COUNTS

    @property
    def rejected(self) -> Path:
        """Files that could not be used, and why."""
        return self.folder / "rejected.csv"

    @property
    def sources(self) -> Path:
        """Size and modification time of every source file, to notice changes cheaply."""
        return self.folder / "sources.csv"

    @property
    def fingerprints(self) -> Path:
        """Hashes and remarks by row of the index, to find duplicates; no ids."""
        return self.folder / FINGERPRINTS

    @property
    def partial(self) -> Path:
        """Decoded chunks of an unfinished run."""
        return self.folder / "partial"


@dataclass(frozen=True)
class AuditFolder:
    """`WORKSPACE/audit`."""

    folder: Path

    @property
    def findings(self) -> Path:
        """Duplicates, contradictory labels and odd images, by row of the index; no ids."""
        return self.folder / "findings.csv"

    @property
    def sheet(self) -> Path:
        """The findings as pictures."""
        return self.folder / "contact-sheet.png"


@dataclass(frozen=True)
class FitFolder:
    """`WORKSPACE/train/<learner>` or `WORKSPACE/finetune/<group>`."""

    folder: Path

    @property
    def model(self) -> Path:
        """The best epoch's weights."""
        return self.folder / MODEL

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.folder / HISTORY

    @property
    def predictions(self) -> Path:
        """Validation probabilities, one row per image."""
        return self.folder / PREDICTIONS

    @property
    def files(self) -> list[str]:
        """The names of what a training produces."""
        return [self.model.name, self.history.name, self.predictions.name]

    @property
    def checkpoint(self) -> Path:
        """The saved states of an unfinished or finished training, to resume from."""
        return self.folder / "checkpoint"


@dataclass(frozen=True)
class CalibrateFolder:
    """`WORKSPACE/calibrate`."""

    folder: Path

    @property
    def scores(self) -> Path:
        """Validation scores of every learner."""
        return self.folder / SCORES

    @property
    def roster(self) -> Path:
        """Which learner serves which group."""
        return self.folder / ROSTER

    @property
    def recogniser(self) -> Path:
        """The model that recognises the group of an image; missing where there is one group."""
        return self.folder / RECOGNISER


@dataclass(frozen=True)
class EvaluateFolder:
    """`WORKSPACE/evaluate`."""

    folder: Path

    @property
    def predictions(self) -> Path:
        """Test probabilities of every model, one row per image."""
        return self.folder / PREDICTIONS

    @property
    def scores(self) -> Path:
        """Table 3, long."""
        return self.folder / SCORES

    def table(self, name: str) -> Path:
        """One of the tables of `murace.metrics.analysis`, or what the report's figures are drawn from."""
        return self.folder / f"{name}.csv"

    @property
    def operating(self) -> Path:
        """Temperatures and operating points, fitted on validation."""
        return self.folder / OPERATING

    @property
    def card(self) -> Path:
        """The model card."""
        return self.folder / CARD

    @property
    def table_3(self) -> Path:
        """The paper's Table 3, per study, as LaTeX."""
        return self.tables / "table-3-study.tex"

    @property
    def tables(self) -> Path:
        """The report's tables as LaTeX and csv."""
        return self.folder / "tables"

    @property
    def report(self) -> Path:
        """The report: one self-contained HTML page."""
        return self.folder / "report.html"

    @property
    def figures(self) -> Path:
        """The report's figures as files."""
        return self.folder / "figures"

    @property
    def partial(self) -> Path:
        """Probabilities of the nets that an unfinished run has finished with, one JSON file each."""
        return self.folder / "partial"


@dataclass(frozen=True)
class Workspace:
    """The folder that the steps share."""

    root: Path

    @property
    def prepare(self) -> PrepareFolder:
        """The prepared radiographs: one table and one array."""
        return PrepareFolder(self.root / "prepare")

    @property
    def audit(self) -> AuditFolder:
        """What `audit` found in the prepared radiographs."""
        return AuditFolder(self.root / "audit")

    def train(self, learner: str) -> FitFolder:
        """A learner trained on all groups."""
        return FitFolder(self.root / "train" / learner)

    def finetune(self, group: str) -> FitFolder:
        """A group's member."""
        return FitFolder(self.root / "finetune" / group)

    @property
    def calibrate(self) -> CalibrateFolder:
        """The choice of learners."""
        return CalibrateFolder(self.root / "calibrate")

    @property
    def evaluate(self) -> EvaluateFolder:
        """Test results."""
        return EvaluateFolder(self.root / "evaluate")
