"""Specialise members in a process that runs beside others: `python -m murace.steps.finetune.worker`, see `run`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from murace.config import FinetuneConfig, Machine, Recipe
from murace.steps.finetune.step import run
from murace.system.progress import Reporter
from murace.system.tasks import serve
from murace.workspace import Rerun
from murace.workspace.paths import Workspace


def finetune(message: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Specialise the member of a message's group; returns what the step has done."""
    config = FinetuneConfig(**{**message["config"], "recipe": Recipe(**message["config"]["recipe"])})
    machine, rerun = Machine(**message["machine"]), Rerun(**message["rerun"])
    workspace = Workspace(Path(message["root"]))
    (done,) = run(workspace, config, groups=[message["group"]], machine=machine, rerun=rerun, reporter=reporter)
    return asdict(done)


if __name__ == "__main__":
    serve(finetune)
