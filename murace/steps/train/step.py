"""Train learners on all groups, or resume their trainings."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from murace.config import Machine, TrainConfig
from murace.data.store import read_index
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
from murace.training.side_by_side import PlannedTraining, at_once, side_by_side
from murace.vocabulary import Split
from murace.workspace import EPOCHS, Rerun, commit, decide, read, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import Workspace

WORKER = "murace.steps.train.worker"


def run_all(
    workspace: Workspace, configs: Sequence[TrainConfig], *, machine: Machine, rerun: Rerun, reporter: Reporter
) -> Iterator[Trained]:
    """Train several learners: one after the other, or several at once where that is faster, to the same bits.

    Yields what was done for each of `configs`, as soon as it is done or, where they run side by side, when all are.

    Raises:
        MuraceError: see `run` and `murace.system.tasks.run_tasks`.
    """
    chosen, remark = device.choose(machine)
    number = at_once(machine, chosen, len(configs), reporter)
    if number == 1 and not machine.runs_side_by_side:
        for config in configs:
            yield run(workspace, config, machine=machine, rerun=rerun, reporter=reporter)
        return
    if remark:  # the processes are told to use the CPU, and say nothing of it
        remark.tell(reporter)
    trainings = [_planned_training(workspace, config, rerun) for config in configs]
    require_pixels(workspace)  # refused once, before any process is started
    for done in side_by_side(WORKER, trainings, number, machine=machine, reporter=reporter):
        yield Trained(**done)


def _planned_training(workspace: Workspace, config: TrainConfig, rerun: Rerun) -> PlannedTraining:
    _, size = planned(workspace, config)
    images = read_index(workspace.prepare.index)
    return PlannedTraining(
        name=config.learner,
        message={"root": str(workspace.root), "config": asdict(config), "rerun": asdict(rerun)},
        recipe=config.recipe,
        form={"learner": config.learner, "width": config.width, "head": config.head, "size": size},
        images=int((images["split"] == Split.TRAIN).sum()),
    )


def run(workspace: Workspace, config: TrainConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter) -> Trained:
    """Train `config.learner` in this process, or resume, or find that there is nothing to do.

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
