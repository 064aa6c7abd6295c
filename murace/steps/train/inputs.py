"""What a training of a learner consumes, and whether it is up to date: the part of the step that needs no torch."""

from dataclasses import dataclass
from typing import Any

from murace.config import Machine, TrainConfig, params
from murace.workspace import Rerun, StepRun, current_records
from murace.workspace.chain import consumed_images, require_step
from murace.workspace.paths import Workspace


@dataclass(frozen=True)
class Trained:
    """What `train` did for one learner; `info` is what its record says about the result."""

    learner: str
    skipped: bool
    info: dict[str, Any]


def up_to_date(workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun) -> Trained | None:
    """The result where there is nothing to do, found without torch; None where the step must run, or say something."""
    records = current_records(lambda: [planned(workspace, config)[0]], machine=machine, rerun=rerun)
    return Trained(config.learner, skipped=True, info=records[0].info) if records else None


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
