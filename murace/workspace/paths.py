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


class Inside:
    """A file or folder of this name in a step's folder, as an attribute that gives its path."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, step: "StepFolder", kind: type) -> Path:
        """The path in the folder of `step`."""
        return step.folder / self.name


@dataclass(frozen=True)
class StepFolder:
    """The folder of a step, or of one of its learners or groups."""

    folder: Path


class PrepareFolder(StepFolder):
    """`WORKSPACE/prepare`."""

    index = Inside(INDEX)  # the table of images: `row` i describes `pixels[i]`
    pixels = Inside(PIXELS)  # uint8 [N, size, size]
    counts = Inside(COUNTS)  # Table 1 of this data
    rejected = Inside("rejected.csv")  # files that could not be used, and why
    remarks = Inside("remarks.csv")  # images that are not shown as their headers say, by row of the index; no ids
    sources = Inside("sources.csv")  # size and modification time of every source file, to notice changes cheaply
    fingerprints = Inside(FINGERPRINTS)  # hashes and remarks by row of the index, to find duplicates; no ids
    partial = Inside("partial")  # decoded chunks of an unfinished run


class AuditFolder(StepFolder):
    """`WORKSPACE/audit`."""

    findings = Inside("findings.csv")  # duplicates, contradictory labels and odd images, by row of the index; no ids
    sheet = Inside("contact-sheet.png")  # the findings as pictures


class FitFolder(StepFolder):
    """`WORKSPACE/train/<learner>` or `WORKSPACE/finetune/<group>`."""

    model = Inside(MODEL)  # the best epoch's weights
    history = Inside(HISTORY)  # a row per epoch
    predictions = Inside(PREDICTIONS)  # validation probabilities, one row per image
    checkpoint = Inside("checkpoint")  # the saved states of an unfinished or finished training, to resume from

    @property
    def files(self) -> list[str]:
        """The names of what a training produces."""
        return [self.model.name, self.history.name, self.predictions.name]


class CalibrateFolder(StepFolder):
    """`WORKSPACE/calibrate`."""

    scores = Inside(SCORES)  # validation scores of every learner
    roster = Inside(ROSTER)  # which learner serves which group
    recogniser = Inside(RECOGNISER)  # the model that recognises the group of an image; missing where there is one group


class EvaluateFolder(StepFolder):
    """`WORKSPACE/evaluate`."""

    predictions = Inside(PREDICTIONS)  # test probabilities of every model, one row per image
    scores = Inside(SCORES)  # Table 3, long
    operating = Inside(OPERATING)  # temperatures and operating points, fitted on validation
    card = Inside(CARD)  # the model card
    tables = Inside("tables")  # the report's tables as LaTeX and csv
    report = Inside("report.html")  # the report: one self-contained HTML page
    figures = Inside("figures")  # the report's figures as files
    partial = Inside("partial")  # probabilities of the nets that an unfinished run has finished with, a JSON file each

    def table(self, name: str) -> Path:
        """One of the tables of `murace.metrics.analysis`, or what the report's figures are drawn from."""
        return self.folder / f"{name}.csv"

    @property
    def table_3(self) -> Path:
        """The paper's Table 3, per study, as LaTeX."""
        return self.tables / "table-3-study.tex"


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
