"""`murace cam`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from murace.cli import options
from murace.cli.display.console import ConsoleReporter, running
from murace.config import Bootstrap, Machine
from murace.errors import DataError, UsageError
from murace.vocabulary import METHODS

if TYPE_CHECKING:
    import pandas as pd

    from murace.cli.display.columns import Columns
    from murace.explain.cam import MapMethod
    from murace.workspace.paths import Workspace

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="STUDY_DIR",
        help="Study folders, folders of studies at any depth, or image files: PNG, JPEG, DICOM.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the overlays, and index.html, which shows them all.")]
Check = Annotated[
    Path | None,
    options.optional(
        "--check",
        "Instead of drawing, measure on the test images whether maps point at these boxes of findings.",
        metavar="BOXES.csv",
    ),
]


def cam(
    paths: Paths = None,
    out: Out = Path("overlays"),
    workspace: options.WorkspaceOption = options.WORKSPACE,
    group: options.Group = None,
    each_file: options.EachFile = False,
    method: options.Method = METHODS[0],
    scales: options.Scales = "1,2",
    check: Check = None,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read studies with the calibrated ensemble and draw class activation maps over them.

    The group comes from DICOM tags, else from the path (XR_ELBOW), else from --group, else from what the picture looks
    like. The decision is at 0.5; predict has other operating points.

    Example: murace cam study_dir/ --out overlays/
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, stop_on=stop_on) as console:
        machine = Machine(gpu=gpu, threads=threads)
        if bool(paths) == (check is not None):
            raise UsageError(
                "name studies to draw (STUDY_DIR), or boxes to check maps by (--check BOXES.csv): one of the two"
            )
        if check is not None and (group or each_file or force):
            refused = "it takes neither --group nor --each-file nor --force"
            raise UsageError(f"--check looks at the workspace's test images: {refused}")
        from murace.explain.cam import MapMethod
        from murace.workspace.paths import Workspace

        map_method = MapMethod.of(method, scales)
        space = Workspace(workspace)
        if check is not None:
            _check(console, space, check, map_method, machine)
        else:
            draw = partial(_draw, group=group, each_file=each_file, out=out, force=force)
            draw(console, space, paths or [], map_method, machine)


def _draw(
    console: ConsoleReporter,
    space: "Workspace",
    paths: list[Path],
    map_method: "MapMethod",
    machine: Machine,
    *,
    group: str | None,
    each_file: bool,
    out: Path,
    force: bool,
) -> None:
    from murace.cli.display.ending import end
    from murace.steps import cam as step

    done = step.run(
        space,
        paths,
        map_method=map_method,
        group=group,
        each_file=each_file,
        out=out,
        machine=machine,
        force=force,
        reporter=console,
    )
    for line in done.remarks:
        console.warn(line)
    for item in done.studies:
        content = item.content
        views = sum(view["counted"] for view in content["views"])
        if content["warning"]:
            console.warn(f"{item.folder}: {content['warning']}")
        console.show(
            f"{item.folder}: {content['decision']}, p = {content['probability']:.3f} "
            f"({content['group']} by {content['group_source']}, {content['learner']}, "
            f"{views} view{'s' if views > 1 else ''})"
            f"{'; up to date' if item.skipped else ''}"
        )
    if done.index is not None:
        console.show(f"gallery: {done.index}")
    studies = [{"folder": str(item.folder), "skipped": item.skipped, **item.content} for item in done.studies]
    index = done.index and str(done.index)
    values = {"command": "cam", "studies": studies, "index": index, "remarks": done.remarks}
    end(console, values, done.error)


def _check(
    console: ConsoleReporter, space: "Workspace", boxes: Path, map_method: "MapMethod", machine: Machine
) -> None:
    from murace.cli.display.ending import end
    from murace.cli.display.evidence import records
    from murace.steps import check as step

    done = step.run(space, boxes, map_method=map_method, bootstrap=Bootstrap(), machine=machine, reporter=console)
    for line in (*done.notes, *done.caveats):
        console.say(line)
    if done.images:
        title = f"Where {map_method.name} points, {done.images:,} images with findings"
        console.show(_table(done.table, title=title))
        shares = ", ".join(f"{source} at {share:.0%}" for source, share in done.thresholds.items())
        console.say(f"iou: of the part of a map above a share of its maximum, the best over all images: {shares}")
    values = {
        "command": "cam",
        "method": map_method.method,
        "scales": map_method.scales,
        "images": done.images,
        "check": records(done.table),
        "thresholds": done.thresholds,
        "notes": [*done.notes, *done.caveats],
    }
    lost = f"{len(done.bad)} images could not be used: {'; '.join(done.bad)}" if done.bad else ""
    end(console, values, DataError(lost) if lost else None)


def _table(table: "pd.DataFrame", *, title: str) -> "Columns":
    """A column for each source; chance has no share of energy, and stays empty there."""
    import pandas as pd

    from murace.cli.display.tables import scores_table

    keys = {name: list(dict.fromkeys(table[name])) for name in ("metric", "group", "source")}
    cells = pd.MultiIndex.from_product(list(keys.values()), names=list(keys))
    full = table.set_index(list(keys)).reindex(cells).reset_index().rename(columns={"source": "model"})
    return scores_table(full, keys["source"], title=title, metrics=keys["metric"])
