"""Specialise each group's designated learner: train it further on that group's training images, or resume that."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from murace.config import FinetuneConfig, Machine, recipe_from
from murace.data.store import read_index
from murace.steps.finetune.inputs import FORM, Finetuned, finetuned, planned
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training import TrainingSetup
from murace.training.job import Job, Result, require_equal_shares, require_own_checkpoint, set_up, write_result
from murace.training.run import follow, lead
from murace.training.side_by_side import PlannedTraining, at_once, side_by_side
from murace.vocabulary import Split
from murace.workspace import EPOCHS, Rerun, StepRun, commit, decide, read, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import Workspace

WORKER = "murace.steps.finetune.worker"


def run(
    workspace: Workspace,
    config: FinetuneConfig,
    *,
    groups: Sequence[str],
    machine: Machine,
    rerun: Rerun,
    reporter: Reporter,
) -> list[Finetuned]:
    """Fine-tune a member for each of `groups` (all where empty); finished ones are skipped.

    One after the other, or several at once where that is faster, to the same bits.

    Of several processes the leading one decides and writes, and sends the others its jobs and the results.

    Raises:
        UsageError: a group that the roster does not know.
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    processes = process_group()
    chosen, remark = device.choose(machine)
    if not processes.leads:
        return [Finetuned(**done) for done in follow(workspace.root, machine, chosen, reporter)]
    runs = planned(workspace, config, groups)
    for step_run in runs:
        require_equal_shares(recipe_from(step_run.params))
    number = at_once(machine, chosen, len(runs), reporter)
    if remark:
        remark.tell(reporter)
    if number > 1 or machine.runs_side_by_side:
        return _side_by_side(workspace, config, runs, number, machine=machine, rerun=rerun, reporter=reporter)
    prepare = partial(set_up, machine=machine, chosen=chosen, reporter=reporter)
    done = [_finetune(workspace, step_run, rerun, prepare) for step_run in runs]
    processes.broadcast({"done": [asdict(member) for member in done]})
    return done


def _side_by_side(
    workspace: Workspace,
    config: FinetuneConfig,
    runs: Sequence[StepRun],
    number: int,
    *,
    machine: Machine,
    rerun: Rerun,
    reporter: Reporter,
) -> list[Finetuned]:
    """The members that have something to do, `number` at once; the others are as their records say."""
    found = {run.step: read(run.folder) for run in runs if decide(run, rerun).skips}
    message = {"root": str(workspace.root), "config": asdict(config), "rerun": asdict(rerun)}
    images = read_index(workspace.prepare.index)
    trained = images[images["split"] == Split.TRAIN]["group"].value_counts()
    trainings = [
        PlannedTraining(
            name=(group := run.step.partition("/")[2]),
            message={**message, "group": group},
            recipe=recipe_from(run.params),
            form={key: run.params[key] for key in FORM},
            images=int(trained.get(group, 0)),
        )
        for run in runs
        if run.step not in found
    ]
    if trainings:
        require_pixels(workspace)  # refused once, before any process is started
    answers = iter(side_by_side(WORKER, trainings, number, machine=machine, reporter=reporter))
    records = [found.get(run.step) for run in runs]
    return [finetuned(record, skipped=True) if record else Finetuned(**next(answers)) for record in records]


def _finetune(
    workspace: Workspace, step_run: StepRun, rerun: Rerun, prepare: Callable[[Job], TrainingSetup]
) -> Finetuned:
    """One member: skip, resume or run, as `murace.workspace.decide` tells."""
    group, form = step_run.step.partition("/")[2], {key: step_run.params[key] for key in FORM}
    folder = workspace.finetune(group)
    with writing(folder.folder):
        plan = decide(step_run, rerun)
        if not plan.skips:
            job = Job(
                recipe=recipe_from(step_run.params),
                form=form,
                index=workspace.prepare.index,
                pixels=workspace.prepare.pixels,
                consumed=step_run.consumed,
                checkpoints=folder.checkpoint,
                initial=workspace.train(form["learner"]).model,
                group=group,
                resumes=plan.resumes,
            )
            require_own_checkpoint(job)
            require_pixels(workspace)
            setup = prepare(job)
            plan.begin(setup.reporter)
            result = lead(job, setup, workspace.root)
            write_result(job, result, model=folder.model, history=folder.history, predictions=folder.predictions)
            info = _info(form["learner"], result)
            parts = {EPOCHS: result.history_digest}
            commit(folder.folder, folder.files, device=setup.place.name, info=info, parts=parts)
        record = read(folder.folder)
        assert record is not None
    return finetuned(record, skipped=plan.skips)


def _info(learner: str, result: Result) -> dict[str, Any]:
    """What the record says of the result: the learner, how the training went, and validation before and after."""
    history, metrics = result.progress.history, ("auc", "accuracy", "kappa")
    first, best = history[0], history[result.progress.best_epoch]
    return {
        "learner": learner,
        **result.facts,
        "validation_before": {key: first[key] for key in metrics},
        "validation_after": {key: best[key] for key in metrics},
    }
