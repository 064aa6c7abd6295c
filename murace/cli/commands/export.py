"""`murace export`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from murace.cli import options
from murace.cli.display.console import running
from murace.config import Machine

if TYPE_CHECKING:
    from rich.console import Group

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE.murace", help="The one file to write.", show_default=False),
]
Onnx = Annotated[
    Path | None, options.optional("--onnx", "Folder for an ONNX file per group, checked against torch.", metavar="DIR")
]


def export(
    file: File = None,
    onnx: Onnx = None,
    workspace: options.WorkspaceOption = options.WORKSPACE,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Hand the calibrated ensemble over: one file for predict elsewhere, or ONNX for other programs.

    FILE.murace is a plain zip of weights, roster, temperatures, operating points and the model card: no code, no ids,
    no paths. A digest in it finds damage, but does not say who made it: send the SHA-256 printed here by other means.

    Example: murace export ensemble.murace --onnx onnx/
    """
    with running(quiet=quiet, as_json=as_json, workspace=workspace) as console:
        machine = Machine(threads=threads)
        from murace.steps.export import step
        from murace.workspace.paths import Workspace

        packed, converted = step.run(Workspace(workspace), file, onnx, machine=machine, reporter=console)
        values: dict[str, object] = {"command": "export", "file": None, "onnx": None}
        if packed:
            groups = packed.manifest.groups
            if packed.skipped:
                console.say(f"{packed.path} is up to date: nothing has changed")
            console.show(
                f"{packed.path}: {packed.size:,} bytes, for {', '.join(groups)}",
                f"SHA-256 {packed.sha256}",
            )
            facts = {"path": str(packed.path), "skipped": packed.skipped, "size": packed.size, "sha256": packed.sha256}
            values["file"] = {**facts, "groups": {name: asdict(net) for name, net in groups.items()}}
        if converted:
            if converted.skipped:
                console.say(f"{converted.folder} is up to date: nothing has changed")
            console.show(_differences(converted.content["groups"]), str(converted.folder))
            values["onnx"] = {"path": str(converted.folder), "skipped": converted.skipped, **converted.content}
        console.result(values)


def _differences(groups: Mapping[str, Any]) -> "Group":
    """What onnxruntime and torch make of the same pictures."""
    from murace.cli.display.tables import UNDEFINED, plain_table, titled

    table = plain_table()
    for name in ("group", "learner"):
        table.add_column(name, overflow="fold")
    for name in ("images", "largest\ndifference", "bf16\ninstead"):
        table.add_column(name, justify="right")
    for group, entry in groups.items():
        found = entry["checked"]
        rough = UNDEFINED if found["bf16_difference"] is None else f"{found['bf16_difference']:.1e}"
        table.add_row(group, entry["learner"], f"{found['images']}", f"{found['largest_difference']:.1e}", rough)
    return titled("ONNX against torch: differences of a probability", table)
