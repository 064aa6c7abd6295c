"""The application: its commands in the order of the chain."""

import os
from typing import Annotated

import typer

from murace import __version__
from murace.cli.commands import (
    audit,
    calibrate,
    cam,
    demo,
    evaluate,
    export,
    finetune,
    guide,
    predict,
    prepare,
    sample,
    score,
    status,
    train,
)
from murace.cli.usage import Commands
from murace.vocabulary import DISCLAIMER

# Threads that wait by spinning cost a shared machine most of its speed. But a short spin bridges the gaps between a
# net's many small operations, where sleeping and waking costs a quiet machine a third of its own. Read once, when torch
# loads OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# matplotlib reads it while it loads; murace's own processes draw in their own style.
os.environ["MATPLOTLIBRC"] = os.devnull
# joblib, which scikit-learn loads, would try out /dev/shm and warn where it cannot be used; nothing here needs it.
os.environ.setdefault("JOBLIB_MULTIPROCESSING", "0")

PIPELINE, READ, HELP = "Pipeline", "New patients", "Around it"
EPILOG = (
    "Exit codes: 0 done or up to date, 1 a bug of murace, 2 usage, 3 data, 4 workspace, 5 machine, "
    f"130 or 143 interrupted. {DISCLAIMER}"
)

app = typer.Typer(
    name="murace",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # they hold paths of patients
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"murace {__version__}")
        raise typer.Exit


@app.callback()
def murace(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Find abnormal musculoskeletal radiographs with an ensemble of three nets, the best one for each body region.

    The steps chain through a workspace folder: prepare, train, calibrate, finetune, evaluate, cam. Each can be stopped
    at any time and started again.

    Example: murace demo
    """


app.command("prepare", rich_help_panel=PIPELINE)(prepare.prepare)
app.command("train", rich_help_panel=PIPELINE)(train.train)
app.command("calibrate", rich_help_panel=PIPELINE)(calibrate.calibrate)
app.command("finetune", rich_help_panel=PIPELINE)(finetune.finetune)
app.command("evaluate", rich_help_panel=PIPELINE)(evaluate.evaluate)
app.command("cam", rich_help_panel=PIPELINE)(cam.cam)
app.command("predict", rich_help_panel=READ)(predict.predict)
app.command("export", rich_help_panel=READ)(export.export)
app.command("status", rich_help_panel=HELP)(status.status)
app.command("audit", rich_help_panel=HELP)(audit.audit)
app.command("score", rich_help_panel=HELP)(score.score)
app.command("sample", rich_help_panel=HELP)(sample.sample)
app.command("demo", rich_help_panel=HELP)(demo.demo)
app.command("guide", rich_help_panel=HELP)(guide.guide)
