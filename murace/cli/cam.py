"""`murace cam`."""

from pathlib import Path
from typing import Annotated

import typer

from murace.cli import options
from murace.cli.console import running
from murace.config import Machine

Paths = Annotated[
    list[Path], typer.Argument(metavar="STUDY_DIR", help="Study folders, or image files.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the overlays.")]


def cam(
    paths: Paths,
    out: Out = Path("overlays"),
    workspace: options.WorkspaceOption = options.WORKSPACE,
    group: options.Group = None,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read studies with the calibrated ensemble and draw class activation maps over them.

    Example: murace cam study_dir/ --out overlays/
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as voice:
        machine = Machine(gpu=gpu, threads=threads)
        from murace.steps import cam as step
        from murace.workspace import Workspace

        done = step.run(Workspace(workspace), paths, out=out, group=group, machine=machine, force=force, watch=voice)
        for item in done:
            content = item.content
            views = len(content["views"])
            voice.show(
                f"{item.folder}: {content['decision']}, p = {content['probability']:.3f} "
                f"({content['group']}, {content['learner']}, {views} view{'s' if views > 1 else ''})"
                f"{'; up to date' if item.skipped else ''}"
            )
        studies = [{"folder": str(item.folder), "skipped": item.skipped, **item.content} for item in done]
        voice.result({"command": "cam", "studies": studies})
