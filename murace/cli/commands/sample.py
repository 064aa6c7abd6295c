"""`murace sample`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from murace.cli import options
from murace.cli.display.console import running
from murace.config import SampleConfig

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to draw into; new or empty.", show_default=False)]
Studies = Annotated[int, typer.Option("--studies", help="Studies per region.")]
DEFAULT = SampleConfig()


def sample(
    folder: Folder,
    studies: Studies = DEFAULT.studies,
    seed: options.Seed = DEFAULT.seed,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Draw synthetic radiographs in MURA's layout, to try murace without data.

    They are drawings, not radiographs.

    Example: murace sample radiographs && murace prepare radiographs
    """
    with running(quiet=quiet, as_json=as_json) as console:
        config = SampleConfig(studies=studies, seed=seed)
        from murace.sample.layout import draw_sample

        findings = draw_sample(folder, config, console)
        images = sum(1 for _ in folder.glob("*/*/*/*/*.png"))
        console.show(f"{images:,} synthetic images in {folder}, {len(findings):,} of them with a finding (truth.csv)")
        command = f"murace prepare {shlex.quote(str(folder))}"
        if not as_json:
            console.say(f"next: {command}")
        counts = {"images": images, "findings": len(findings)}
        console.result({"command": "sample", "folder": str(folder), **counts, "next": command})
