"""`murace prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from murace.cli import options
from murace.cli.display.console import running
from murace.config import PrepareConfig

Source = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE", help="A MURA folder, or a csv with the columns path and label.", show_default=False
    ),
]
Accept = Annotated[
    int | None, options.optional("--accept-rejects", "Go on with up to so many unusable files. [default: 1 %]")
]
Preview = Annotated[
    Path | None, options.optional("--preview", "Draw some images and their augmentations into this PNG.")
]
DEFAULT = PrepareConfig()


def prepare(
    source: Source,
    workspace: options.WorkspaceOption = options.WORKSPACE,
    size: options.Size = DEFAULT.size,
    fit: options.Fit = DEFAULT.fit,
    leaks: options.Leaks = DEFAULT.leaks,
    follow_links: options.FollowLinks = DEFAULT.follow_links,
    accept_rejects: Accept = None,
    preview: Preview = None,
    seed: options.Seed = DEFAULT.seed,
    jobs: options.Jobs = None,
    resume: options.Resume = None,
    force: options.Force = False,
    stop_on: options.StopOn = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Read radiographs, split them by patient, and store them as one array.

    Example: murace prepare MURA-v1.1
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace, stop_on=stop_on) as console:
        config = PrepareConfig(size=size, fit=fit, seed=seed, leaks=leaks, follow_links=follow_links)
        from murace.cli.display.ending import finish
        from murace.cli.display.tables import counts_table
        from murace.steps import prepare as step
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        space = Workspace(workspace)
        operation = step.Operation(jobs=jobs, accept_rejects=accept_rejects, preview=preview)
        done = step.run(source, space, config, operation=operation, rerun=Rerun(resume, force), reporter=console)
        if done.skipped:
            console.say("prepare is up to date: nothing has changed")
        for note in done.notes:
            console.say(note)
        console.show(counts_table(done.counts))
        console.say(
            f"{done.images:,} images of {done.studies:,} studies and {done.patients:,} patients; "
            f"{done.rejected:,} rejected, {done.ignored:,} macOS files ignored"
        )
        summary = {
            name: getattr(done, name)
            for name in ("skipped", "images", "studies", "patients", "rejected", "ignored", "dropped", "alike")
        }
        counts = done.counts.to_dict("records")
        finish(console, space, {"command": "prepare", **summary, "counts": counts, "notes": list(done.notes)})
