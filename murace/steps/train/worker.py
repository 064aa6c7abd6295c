"""Train learners in a process that runs beside others: `python -m murace.steps.train.worker`, see `run_all`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from murace.config import Machine, Recipe, TrainConfig
from murace.steps.train.step import run
from murace.system.progress import Reporter
from murace.system.tasks import serve
from murace.workspace import Rerun
from murace.workspace.paths import Workspace


def train(message: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Train the learner of a message; returns what the step has done."""
    config = TrainConfig(**{**message["config"], "recipe": Recipe(**message["config"]["recipe"])})
    machine, rerun = Machine(**message["machine"]), Rerun(**message["rerun"])
    return asdict(run(Workspace(Path(message["root"])), config, machine=machine, rerun=rerun, reporter=reporter))


if __name__ == "__main__":
    serve(train)
