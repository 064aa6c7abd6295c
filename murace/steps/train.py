"""Train one learner on all groups."""

from dataclasses import asdict, dataclass
from typing import Any

from murace.config import Machine, TrainConfig, params
from murace.nets import count_parameters
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training.job import (
    FILES,
    Circumstances,
    Task,
    build,
    follow,
    lead,
    require_equal_shares,
    require_possible,
    require_same_run,
)
from murace.workspace import Rerun, StepRun, commit, decide, read, writing
from murace.workspace.chain import consumed_images, require_pixels, require_step
from murace.workspace.paths import Workspace


@dataclass(frozen=True)
class Trained:
    """What `train` did for one learner; `info` is what its record says about the result."""

    learner: str
    skipped: bool
    info: dict[str, Any]


def run(workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter) -> Trained:
    """Train `config.learner`, or resume, or say why there is nothing to do.

    In this order: 1. the device; 2. the prepared data; 3. finished and unchanged: skip; 4. unfinished: resume from the
    newest state; 5. else from scratch. Of several processes the leading one decides and writes, and tells the others.

    Raises:
        MachineError, WorkspaceError, UsageError, Interrupted: see their classes.
    """
    processes = process_group()
    require_equal_shares(config.recipe)
    chosen, remark = device.choose(machine)
    circumstances = Circumstances(machine, chosen, reporter)
    if not processes.leads:
        return Trained(**follow(workspace, circumstances))
    prepared = require_step(workspace, "prepare", ("index.csv",))
    form = {"learner": config.learner, "width": config.width, "head": config.head, "size": int(prepared.params["size"])}
    build(form)  # refuses what cannot be built, before anything is written
    folder, consumed = workspace.train(config.learner), consumed_images(prepared)
    step_run = StepRun(
        folder=folder.folder,
        step=f"train/{config.learner}",
        params=params(config),
        consumed=consumed,
        states=folder.checkpoint,
    )
    with writing(folder.folder):
        plan = decide(step_run, rerun)
        if not plan.skips:
            task = Task(config.recipe, form, consumed, resumes=plan.resumes)
            require_same_run(task, workspace)
            require_pixels(workspace)
            require_possible(task, workspace, circumstances)
            plan.begin(reporter)
            if remark:
                reporter.say(remark)
            done = lead(task, workspace, circumstances)
            total, trainable = count_parameters(done.net)
            info = {"size": form["size"], "parameters": total, "trainable": trainable, **done.facts}
            commit(folder.folder, FILES, device=done.setting.place.name, info=info, parts=done.parts)
        record = read(folder.folder)
        assert record is not None
    trained = Trained(config.learner, skipped=plan.skips, info=record.info)
    processes.broadcast({"done": asdict(trained)})
    return trained
