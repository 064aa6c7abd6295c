"""`murace audit`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from murace.cli import options
from murace.cli.display.console import running

if TYPE_CHECKING:
    from rich.console import Group

STOPPED = ("a patient in two given splits", "0", "prepare stops at these")
IDENTICAL = "identical pictures in two given splits"
MENDED = "prepare stops at these; murace prepare SOURCE --leaks drop-train drops them from training"
DROPPED = "images that prepare --leaks dropped: rejected.csv names them"
MEANINGS = {
    "near-duplicate": ("pairs in two splits that show the same", "a leak: test results may be too good"),
    "both labels": ("pictures with both labels", "one label is wrong, in training or in test"),
    "same file": ("pictures in several identical files", "no leak, one split; each counts as often as it is there"),
    "same pixels": ("pictures in several files, the same pixels", "the same"),
    "empty study": ("studies without a usable image", "left out; prepare/rejected.csv names the files"),
    "one shade": ("images of one shade", "nothing to see: learnt and scored all the same"),
    "dark": ("16-bit images that use 12 bits", "almost black after reading"),
    "odd size": ("images of an odd size", "strongly distorted or enlarged"),
    "colour": ("images with colour", "burned-in marks may give the label away, or a name"),
}
NO_PATIENTS = "the data name no patients: other views of the same patient may stand in two splits, and no picture tells"
SYNTHETIC = "synthetic data: drawings made by murace, not radiographs"

# No file of the source is opened: the option is here so that a script may give it to both commands.
AuditLinks = Annotated[
    bool, typer.Option("--follow-links", help="As prepare was told; links of the workspace's own are always followed.")
]


def audit(
    workspace: options.WorkspaceOption = options.WORKSPACE,
    follow_links: AuditLinks = False,
    resume: options.Resume = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Look for leaks and flaws in the prepared radiographs: copies across splits, contradictions, odd pictures.

    Copies are found though resized, recompressed, mirrored, turned or inverted. All is listed by row of index.csv in
    audit/findings.csv, and drawn on audit/contact-sheet.png for you to judge. Nothing is changed, and nothing found is
    an error: what must stop has stopped prepare.

    Example: murace audit
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as console:
        from murace.cli.display.ending import finish
        from murace.cli.display.evidence import records
        from murace.steps import audit as step
        from murace.workspace import Rerun
        from murace.workspace.paths import Workspace

        space = Workspace(workspace)
        done = step.run(space, rerun=Rerun(resume, force), reporter=console)
        if done.skipped:
            console.say("audit is up to date: nothing has changed")
        notes = [*([SYNTHETIC] if done.synthetic else []), *([] if done.patient_level else [NO_PATIENTS])]
        for note in notes:
            console.say(note)
        console.show(findings_table(done.counts, done.dropped), f"contact sheet: {done.sheet}")
        values = {"command": "audit", "skipped": done.skipped, "counts": done.counts, "dropped": done.dropped}
        finish(console, space, {**values, "notes": notes, "findings": records(done.findings), "sheet": str(done.sheet)})


def findings_table(counts: Mapping[str, int], dropped: int) -> "Group":
    """What was looked for, how often it was found, and what it means for results."""
    from murace.cli.display.tables import plain_table, titled

    table = plain_table()
    table.add_column("finding", overflow="fold")
    table.add_column("found", justify="right")
    table.add_column("what it means", overflow="fold")
    table.add_row(*STOPPED, style="dim")
    table.add_row(IDENTICAL, f"{dropped:,}", DROPPED if dropped else MENDED, style=None if dropped else "dim")
    for kind, (name, meaning) in MEANINGS.items():
        number = counts[kind]
        table.add_row(name, f"{number:,}", meaning if number else "", style=None if number else "dim")
    return titled("Findings", table)
