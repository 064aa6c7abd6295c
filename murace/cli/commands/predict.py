"""`murace predict`."""

from pathlib import Path
from typing import Annotated

import typer

from murace.cli import options
from murace.cli.display.console import running
from murace.config import Machine, PredictConfig
from murace.vocabulary import DISCLAIMER

DEFAULT = PredictConfig()
Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATHS",
        help="Study folders, folders of studies at any depth, image files: PNG, JPEG, DICOM.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Csv file, a row for each study; the views' is NAME-views.csv.")]
Model = Annotated[Path | None, options.optional("--model", "A file that murace export wrote, instead of a workspace.")]


def predict(
    paths: Paths,
    out: Out = Path("predictions.csv"),
    workspace: options.WorkspaceOption = options.WORKSPACE,
    model: Model = None,
    group: options.Group = None,
    each_file: options.EachFile = False,
    operating_point: options.OperatingPoint = DEFAULT.operating_point,
    show_ids: options.ShowIds = False,
    gpu: options.Gpus = None,
    threads: options.Threads = None,
    resume: options.Resume = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read new studies with the calibrated ensemble: a probability and a decision for each.

    The group comes from DICOM tags, else from the path (XR_ELBOW), else from --group, else from what the picture looks
    like. What cannot be read has a row that says why, and the exit code is 3.

    Example: murace predict studies/ --out predictions.csv
    """
    with running(
        quiet=quiet,
        as_json=as_json,
        workspace=None if model else workspace,
        several=True,
        resumes=True,
        stop_on=stop_on,
    ) as console:
        machine = Machine(gpu=gpu, threads=threads)
        config = PredictConfig(operating_point=operating_point, group=group, each_file=each_file, show_ids=show_ids)
        from murace.cli.display.ending import end
        from murace.cli.display.evidence import records
        from murace.cli.display.studies import predictions, problems, warnings
        from murace.cli.several import together
        from murace.steps import predict as step
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        source = model or Workspace(workspace)
        with together(machine, console):
            done = step.run(
                source, paths, config, out=out, machine=machine, rerun=Rerun(resume, force), reporter=console
            )
        if done.skipped:
            console.say(f"{out} is up to date: nothing has changed")
        for line in done.remarks:
            console.warn(line)
        rows = records(done.studies)
        for line in warnings(rows):
            console.warn(line)
        console.show(*predictions(rows))
        files = {kind: str(path) for kind, path in zip(("studies", "views"), done.files, strict=True)}
        console.show(*(f"{kind}: {path}" for kind, path in files.items()))
        for line in (*done.caveats, DISCLAIMER):
            console.say(line)
        values = {
            "command": "predict",
            "skipped": done.skipped,
            "files": files,
            "studies": rows,
            "remarks": done.remarks,
            "caveats": done.caveats,
            "notice": DISCLAIMER,
        }
        end(console, values, problems(rows, records(done.views), places=done.files))
