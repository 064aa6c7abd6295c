"""Train one learner on all groups, or resume its training."""

from dataclasses import asdict

from murace.config import Machine, TrainConfig
from murace.nets import count_parameters
from murace.steps.train.inputs import Trained, planned
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training.job import (
    Job,
    build,
    require_equal_shares,
    require_own_checkpoint,
    set_up,
    write_result,
)
from murace.training.run import follow, lead
from murace.workspace import EPOCHS, Rerun, commit, decide, read, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import Workspace


def run(workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter) -> Trained:
    """Train `config.learner`, or resume, or find that there is nothing to do.

    In this order: 1. the device; 2. the prepared data; 3. finished and unchanged: skip; 4. unfinished: resume from the
    newest checkpoint; 5. else from scratch. Of several processes the leading one decides and writes, and sends the
    others its jobs and the result.

    Raises:
        MachineError, WorkspaceError, UsageError, Interrupted: see their classes.
    """
    processes = process_group()
    require_equal_shares(config.recipe)
    chosen, remark = device.choose(machine)
    if not processes.leads:
        return Trained(**follow(workspace.root, machine, chosen, reporter))
    step_run, size = planned(workspace, config)
    form = {"learner": config.learner, "width": config.width, "head": config.head, "size": size}
    build(form)  # refuses what cannot be built, before anything is written
    folder = workspace.train(config.learner)
    with writing(folder.folder):
        plan = decide(step_run, rerun)
        if not plan.skips:
            job = Job(
                recipe=config.recipe,
                form=form,
                index=workspace.prepare.index,
                pixels=workspace.prepare.pixels,
                consumed=step_run.consumed,
                checkpoints=folder.checkpoint,
                resumes=plan.resumes,
            )
            require_own_checkpoint(job)
            require_pixels(workspace)
            setup = set_up(job, machine, chosen, reporter)
            plan.begin(reporter)
            if remark:
                remark.tell(reporter)
            result = lead(job, setup, workspace.root)
            write_result(job, result, model=folder.model, history=folder.history, predictions=folder.predictions)
            total, trainable = count_parameters(result.net)
            info = {"size": size, "parameters": total, "trainable": trainable, **result.facts}
            parts = {EPOCHS: result.history_digest}
            commit(folder.folder, folder.files, device=setup.place.name, info=info, parts=parts)
        record = read(folder.folder)
        assert record is not None
    trained = Trained(config.learner, skipped=plan.skips, info=record.info)
    processes.broadcast({"done": asdict(trained)})
    return trained
