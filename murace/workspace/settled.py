"""What is settled: that a training is finished and current is found without torch, which takes seconds to load.

Whatever else there is to do, to say or to refuse is its step's.
"""

from typing import Any

from murace.config import Machine, TrainConfig, params
from murace.errors import MuraceError
from murace.system.launch import launch
from murace.workspace.chain import consumed_images, require_step
from murace.workspace.decision import Rerun, StepRun, decide
from murace.workspace.paths import Workspace
from murace.workspace.record import read


def settled_training(
    workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun
) -> dict[str, Any] | None:
    """What the record of a finished and current training says of it; None where its step has a word to say.

    A GPU that was asked for by its number is looked for first, and several processes decide together: those are its
    step's too.
    """
    if machine.gpu not in (None, "cpu") or launch().size > 1 or rerun != Rerun():
        return None
    folder = workspace.train(config.learner).folder
    try:
        prepared = require_step(workspace, "prepare", ("index.csv",))
        name, consumed = f"train/{config.learner}", consumed_images(prepared)
        plan = decide(StepRun(folder=folder, step=name, params=params(config), consumed=consumed), rerun)
        record = read(folder)
    except MuraceError:
        return None
    return record.info if record is not None and plan.skips else None
