"""What a training of a learner consumes, and whether it is up to date: the part of the step that needs no torch."""

from dataclasses import dataclass
from typing import Any

from murace.config import Machine, TrainConfig, params
from murace.errors import MuraceError
from murace.workspace import Rerun, StepRun, decide, may_answer_from_record, read
from murace.workspace.chain import consumed_images, require_step
from murace.workspace.paths import Workspace


@dataclass(frozen=True)
class Trained:
    """What `train` did for one learner; `info` is what its record says about the result."""

    learner: str
    skipped: bool
    info: dict[str, Any]


def up_to_date(workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun) -> Trained | None:
    """The result of a finished and current training; None where the step has something to do, say or refuse."""
    if not may_answer_from_record(machine, rerun):
        return None
    try:
        step_run, _ = planned(workspace, config)
        record = read(step_run.folder) if decide(step_run, rerun).skips else None
    except MuraceError:
        return None
    return Trained(config.learner, skipped=True, info=record.info) if record else None


def planned(workspace: Workspace, config: TrainConfig) -> tuple[StepRun, int]:
    """The run of the step, and the side of the prepared images in pixels.

    Raises:
        WorkspaceError: `prepare` is missing, unfinished, stale or damaged.
    """
    prepared = require_step(workspace, "prepare", ("index.csv",))
    folder = workspace.train(config.learner)
    run = StepRun(
        folder=folder.folder,
        step=f"train/{config.learner}",
        params=params(config),
        consumed=consumed_images(prepared),
        states=folder.checkpoint,
    )
    return run, int(prepared.params["size"])
