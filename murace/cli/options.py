"""Every option of the command line, named once; defaults come from `config`. Nothing heavy is imported here."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from murace.config import COMPILE, FITS, HEADS, PRECISIONS
from murace.errors import WorkspaceError
from murace.vocabulary import LEARNERS, METHODS, METRIC_ALIASES, POINTS, Level, Metric
from murace.workspace.paths import Workspace
from murace.workspace.roster import read_roster

RUN, MODEL, HARDWARE = "Running again", "Model", "Hardware"


def listed(values: Iterable[str]) -> list[str]:
    """The words of an option that may be given again, and each time with several, separated by commas."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _known(*names: str):  # type: ignore[no-untyped-def]
    """A completion callback over fixed words."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def _learners(incomplete: str) -> list[str]:
    return _last((*LEARNERS, "all"), incomplete)


def _last(names: Iterable[str], incomplete: str) -> list[str]:
    """Complete the last word of a comma-separated list by what is not in it yet."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in names if name.startswith(last) and name not in done.split(",")]


def _metrics(incomplete: str) -> list[str]:
    return _last((*Metric, *METRIC_ALIASES), incomplete)


def _groups(context: typer.Context, incomplete: str) -> list[str]:
    """The roster's groups, where there is a roster."""
    workspace = context.params.get("workspace") or os.environ.get("MURACE_WORKSPACE") or WORKSPACE
    try:
        names = sorted(read_roster(Workspace(Path(workspace)).calibrate.roster)["groups"])
    except (WorkspaceError, OSError):
        return []
    return _last(names, incomplete)


WORKSPACE = Path("workspace")
WorkspaceOption = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="MURACE_WORKSPACE", help="Folder that the steps share."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Seed = Annotated[int, typer.Option("--seed", help="Number from which all chance is drawn.")]

Gpu = Annotated[
    str | None,
    typer.Option(
        "--gpu",
        help="Number of the GPU, or cpu. [default: the first GPU, else the CPU]",
        rich_help_panel=HARDWARE,
        autocompletion=_known("cpu", "0"),
        show_default=False,
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpu",
        help="Number of the GPU, several separated by commas, or cpu. [default: the first GPU, else the CPU]",
        rich_help_panel=HARDWARE,
        autocompletion=_known("cpu", "0", "0,1"),
        show_default=False,
    ),
]
Compile = Annotated[
    str,
    typer.Option(
        "--compile",
        help="torch.compile: auto is on where a GPU's epochs repay it.",
        rich_help_panel=HARDWARE,
        autocompletion=_known(*COMPILE),
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", help="CPU threads. [default: the cores it may use]", rich_help_panel=HARDWARE, show_default=False
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", help="Processes. [default: the cores it may use]", rich_help_panel=HARDWARE, show_default=False
    ),
]
Resume = Annotated[
    bool | None,
    typer.Option(
        "--resume/--fresh",
        help="Insist on going on with an unfinished run, or start over. [default: go on where there is one]",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run again though nothing has changed.", rich_help_panel=RUN)]

Arch = Annotated[
    list[str],
    typer.Option(
        "--arch",
        help=f"Learners, separated by commas or repeated: {', '.join(LEARNERS)}, or all.",
        autocompletion=_learners,
    ),
]
Epochs = Annotated[int, typer.Option("--epochs", help="Epochs at most; more of them continue a finished run.")]
Rate = Annotated[float, typer.Option("--lr", help="Learning rate of Adam.")]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", help="Images per step, of all GPUs together. [default: 32; densenet 16]", show_default=False
    ),
]
Patience = Annotated[int, typer.Option("--patience", help="Stop after so many epochs without a lower training loss.")]
Monitor = Annotated[
    str,
    typer.Option(
        "--monitor",
        help="Validation metric, at study level, that picks the epoch.",
        autocompletion=_known(*Metric, "acc"),
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="auto is bf16 where the hardware has it, else fp32.",
        rich_help_panel=HARDWARE,
        autocompletion=_known(*PRECISIONS),
    ),
]
Width = Annotated[
    float, typer.Option("--width", help="Scale the number of channels; 1 is the paper's.", rich_help_panel=MODEL)
]
Head = Annotated[
    str,
    typer.Option(
        "--head",
        help="gap; or fc, convnet's head of the paper's Table 4.",
        rich_help_panel=MODEL,
        autocompletion=_known(*HEADS),
    ),
]
Size = Annotated[int, typer.Option("--size", help="Side of the square images in pixels.")]
Fit = Annotated[
    str,
    typer.Option("--fit", help="squash to the square, or pad to keep the aspect.", autocompletion=_known(*FITS)),
]
ValMetrics = Annotated[
    str,
    typer.Option(
        "--val-metrics", help="Metrics that vote: auc, acc, precision, recall, kappa.", autocompletion=_metrics
    ),
]
LevelOption = Annotated[
    str, typer.Option("--level", help="What is scored: study or image.", autocompletion=_known(*Level))
]
Resamples = Annotated[
    int, typer.Option("--resamples", help="Times that the patients are drawn anew for the 95 % intervals.")
]
Slices = Annotated[
    list[str] | None,
    typer.Option("--slice", help="Another column of the data to slice the scores by. Repeatable.", show_default=False),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        help="Columns that are models, separated by commas or repeated. [default: all that are not something else]",
        show_default=False,
    ),
]
Latex = Annotated[bool, typer.Option("--latex", help="Print Table 3 as LaTeX; all tables stand in evaluate/tables.")]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--groups",
        help="Groups, separated by commas or repeated. [default: all]",
        autocompletion=_groups,
        show_default=False,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="The group, where no DICOM tag and no path names one.",
        autocompletion=_groups,
        show_default=False,
    ),
]
Method = Annotated[
    str,
    typer.Option("--method", help=f"How a map is made: {', '.join(METHODS)}.", autocompletion=_known(*METHODS)),
]
Scales = Annotated[
    str,
    typer.Option("--scales", help="Sizes at which the net looks, in its own, separated by commas: 1,2 is sharper."),
]
OperatingPoint = Annotated[
    str,
    typer.Option(
        "--operating-point",
        help=f"Where abnormal begins: {', '.join(POINTS)}; half is 0.5, the others come from validation.",
        autocompletion=_known(*POINTS),
    ),
]
ShowIds = Annotated[
    bool, typer.Option("--show-ids", help="Write PatientID and StudyInstanceUID of DICOM files into the csv.")
]
