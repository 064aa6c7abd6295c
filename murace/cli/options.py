"""Every option of the command line, named once; defaults come from `config`. Nothing heavy is imported here."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from murace.config import FITS, HEADS, LEAKS, PRECISIONS, SWITCH
from murace.errors import WorkspaceError
from murace.system.signals import ON_REQUEST
from murace.vocabulary import LEARNERS, METHODS, METRIC_ALIASES, POINTS, Level, Metric

FIRST_GPU, OWN_CORES = "[default: the first GPU, else the CPU]", "[default: the cores it may use]"
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
    from murace.workspace.paths import Workspace
    from murace.workspace.roster import read_roster

    workspace = context.params.get("workspace") or os.environ.get("MURACE_WORKSPACE") or WORKSPACE
    try:
        names = sorted(read_roster(Workspace(Path(workspace)).calibrate.roster)["groups"])
    except (WorkspaceError, OSError):
        return []
    return _last(names, incomplete)


def optional(
    name: str,
    text: str,
    *,
    panel: str | None = None,
    completion: Callable[..., list[str]] | None = None,
    metavar: str | None = None,
) -> Any:
    """An option that may be left out: what happens then stands in its help `text`, and no default beside it."""
    return typer.Option(
        name, help=text, metavar=metavar, rich_help_panel=panel, autocompletion=completion, show_default=False
    )


def _choice(name: str, text: str, words: Iterable[str], panel: str | None = None) -> Any:
    """An option that takes one of some `words`, which complete it."""
    return typer.Option(name, help=text, rich_help_panel=panel, autocompletion=_known(*words))


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
    optional("--gpu", f"Number of the GPU, or cpu. {FIRST_GPU}", panel=HARDWARE, completion=_known("cpu", "0")),
]
Gpus = Annotated[
    str | None,
    optional(
        "--gpu",
        f"Number of the GPU, several separated by commas, or cpu. {FIRST_GPU}",
        panel=HARDWARE,
        completion=_known("cpu", "0", "0,1"),
    ),
]
Compile = Annotated[str, _choice("--compile", "torch.compile: auto is off, until measured on GPUs.", SWITCH, HARDWARE)]
Graph = Annotated[
    str, _choice("--graph", "A step as one CUDA graph: auto is on where that gives the same results.", SWITCH, HARDWARE)
]
Threads = Annotated[int | None, optional("--threads", f"CPU threads. {OWN_CORES}", panel=HARDWARE)]
SideBySide = Annotated[
    str,
    typer.Option(
        "--side-by-side",
        metavar="auto|N",
        help="Trainings that run at once on a CPU, with --threads each; auto: as many as there are cores for, "
        "1: one after the other.",
        rich_help_panel=HARDWARE,
        autocompletion=_known("auto", "1", "2"),
    ),
]
Jobs = Annotated[int | None, optional("--jobs", f"Processes. {OWN_CORES}", panel=HARDWARE)]
Resume = Annotated[
    bool | None,
    optional(
        "--resume/--fresh",
        "Insist on going on with an unfinished run, or start over. [default: go on where there is one]",
        panel=RUN,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run again though nothing has changed.", rich_help_panel=RUN)]

StopOn = Annotated[
    str | None,
    typer.Option(
        "--stop-on",
        help="Signals that stop it as SIGTERM does: USR1, USR2, or both, separated by commas.",
        envvar="MURACE_STOP_ON",
        show_default=False,
        rich_help_panel=RUN,
        autocompletion=lambda incomplete: _last(ON_REQUEST, incomplete),
    ),
]

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
    int | None, optional("--batch-size", "Images per step, of all GPUs together. [default: 32; densenet 16]")
]
Patience = Annotated[int, typer.Option("--patience", help="Stop after so many epochs without a lower training loss.")]
Monitor = Annotated[
    str, _choice("--monitor", "Validation metric, at study level, that picks the epoch.", (*Metric, "acc"))
]
Precision = Annotated[
    str, _choice("--precision", "auto is bf16 where the hardware has it, else fp32.", PRECISIONS, HARDWARE)
]
Width = Annotated[
    float, typer.Option("--width", help="Scale the number of channels; 1 is the paper's.", rich_help_panel=MODEL)
]
Head = Annotated[str, _choice("--head", "gap; or fc, convnet's head of the paper's Table 4.", HEADS, MODEL)]
Size = Annotated[int, typer.Option("--size", help="Side of the square images in pixels.")]
Fit = Annotated[str, _choice("--fit", "squash to the square, or pad to keep the aspect.", FITS)]
Leaks = Annotated[
    str,
    _choice(
        "--leaks", "Where a given split has a picture on two sides: refuse, or drop the copies on that side.", LEAKS
    ),
]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Read files that links out of SOURCE lead to.")]
ValMetrics = Annotated[
    str,
    typer.Option(
        "--val-metrics", help="Metrics that vote: auc, acc, precision, recall, kappa.", autocompletion=_metrics
    ),
]
LevelOption = Annotated[str, _choice("--level", "What is scored: study or image.", Level)]
Resamples = Annotated[
    int, typer.Option("--resamples", help="Times that the patients are drawn anew for the 95 % intervals.")
]
Slices = Annotated[
    list[str] | None, optional("--slice", "Another column of the data to slice the scores by. Repeatable.")
]
Models = Annotated[
    list[str] | None,
    optional(
        "--models",
        "Columns that are models, separated by commas or repeated. [default: all that are not something else]",
    ),
]
Latex = Annotated[bool, typer.Option("--latex", help="Print Table 3 as LaTeX; all tables stand in evaluate/tables.")]
Groups = Annotated[
    list[str] | None,
    optional("--groups", "Groups, separated by commas or repeated. [default: all]", completion=_groups),
]
Group = Annotated[
    str | None, optional("--group", "The group, where no DICOM tag and no path names one.", completion=_groups)
]
EachFile = Annotated[
    bool, typer.Option("--each-file", help="Each file is a study of its own, whatever folder or DICOM study it is in.")
]
Method = Annotated[str, _choice("--method", f"How a map is made: {', '.join(METHODS)}.", METHODS)]
Scales = Annotated[
    str,
    typer.Option("--scales", help="Sizes at which the net looks, in its own, separated by commas: 1,2 is sharper."),
]
OperatingPoint = Annotated[
    str,
    _choice(
        "--operating-point",
        f"Where abnormal begins: {', '.join(POINTS)}; half is 0.5, the others come from validation.",
        POINTS,
    ),
]
ShowIds = Annotated[
    bool, typer.Option("--show-ids", help="Write PatientID and StudyInstanceUID of DICOM files into the csv.")
]
