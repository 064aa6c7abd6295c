"""Carry out a job: train, or resume from its newest checkpoint, to its result; alone or in several processes."""

import traceback
from functools import partial
from pathlib import Path
from typing import Any

import torch

from murace.config import Machine
from murace.errors import Interrupted, MachineError
from murace.nets import Learner, count_parameters
from murace.nets.weights import load_weights
from murace.system.device import set_threads
from murace.system.failures import is_gpu_out_of_memory, is_out_of_memory
from murace.system.processes import process_group
from murace.system.progress import Bar, Reporter
from murace.training.job import Job, Result, set_up
from murace.training.loop import fit
from murace.training.resources import largest_batch
from murace.training.saver import Saver, restore
from murace.training.state import Progress, Training, TrainingEvent, TrainingSetup, start


def lead(job: Job, setup: TrainingSetup, root: Path) -> Result:
    """Broadcast the job to the processes that `follow`, and carry it out with them.

    Args:
        job: the job.
        setup: what `set_up` has made of it.
        root: what the paths in the message are relative to.

    Raises:
        Interrupted, MachineError, WorkspaceError: see `run`.
    """
    if job.splits[1].empty and job.group is not None:
        setup.reporter.warn(f"{job.group} has no validation images: its unspecialised weights are kept")
    process_group().broadcast({"job": job.message(root, precision=setup.place.precision)})
    return run(job, setup)


def follow(root: Path, machine: Machine, chosen: torch.device, reporter: Reporter) -> Any:
    """Carry out every job that the leading process broadcasts; returns its last message, `{"done": ...}`."""
    while "job" in (message := process_group().receive()):
        job = Job.from_message(message["job"], root)
        run(job, set_up(job, machine, chosen, reporter))
    return message["done"]


def run(job: Job, setup: TrainingSetup) -> Result:
    """Train to the end, from the beginning or from the newest checkpoint.

    In this order: 1. the net with its initial weights; 2. the newest checkpoint, if the job resumes; 3. threads as
    recorded there, since their number changes the last bits; 4. the loop, saving at each epoch's end and when
    interrupted; 5. the best weights. Of several processes the leading one saves; the others keep the weights of the
    last epoch.

    Raises:
        Interrupted: a signal came; the state is saved.
        MachineError: out of memory; the message says what would fit. Or another process of the run has ended.
        WorkspaceError: the checkpoint is damaged, of another net, or was made with another precision.
    """
    net, saved = job.net(), job.saved
    setup.reporter.say(_headline(job, net, setup))
    facts = _facts_of_run(job, setup)
    training = start(net, setup)
    if saved is not None:
        restore(training, saved, setup)
        setup.reporter.say(f"resuming after {_position(training.progress)}")
    elif job.resumes:
        setup.reporter.warn("the unfinished run had saved no state yet: starting from its beginning")
    saver = Saver(
        job.checkpoints,
        form=job.form,
        facts=facts,
        best=saved.best_weights if saved else None,
        in_background=setup.place.device.type != "cpu",
    )
    try:
        _fit_and_save(training, setup, saver, score_start=job.initial is not None)
    except (RuntimeError, MemoryError) as error:
        if not (is_out_of_memory(error) or is_gpu_out_of_memory(error)):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the step that failed
        message = _out_of_memory(training, setup, is_certain=is_out_of_memory(error))
        if message is None:
            raise
        raise MachineError(message) from error
    finally:
        saver.close()
    if saver.best is not None and process_group().leads:
        load_weights(saver.best, net)
    return Result(net, training.progress, training.best.numpy(), _facts_of_result(training, setup))


def _fit_and_save(training: Training, setup: TrainingSetup, saver: Saver, *, score_start: bool) -> None:
    processes, reporter = process_group(), setup.reporter
    with reporter.bar("epochs", setup.recipe.epochs, start=training.progress.epoch, lines=True) as epochs:
        for event in fit(training, setup, score_start=score_start):
            if processes.leads:
                saver.save(training, event, then=partial(_show_epoch, epochs, event))
            if event.signum is not None:
                saver.wait()
                processes.first_signal(None)  # nobody leaves before the state is saved: torchrun would end the rest
                raise Interrupted(event.signum)
        saver.wait()  # the last epoch's line comes after its checkpoint


def _show_epoch(epochs: Bar, event: TrainingEvent) -> None:
    """Called once the checkpoint is written: an epoch that was shown is never lost."""
    if event.note:
        epochs.advance(1, note=event.note)


def _headline(job: Job, net: Learner, setup: TrainingSetup) -> str:
    total, trainable = count_parameters(net)
    train, validation, processes = len(setup.train.rows), len(setup.validation.rows), process_group()
    where = f"{setup.place.precision} on {setup.place.name}" + ", compiled" * setup.place.compiled
    return (
        (f"{job.group}: " if job.group else "")
        + f"{job.form['learner']}: {total:,} parameters ({trainable:,} trainable), {train:,} training and "
        f"{validation:,} validation images, batch {setup.batch_size}, {where}"
        + (f" in {processes.size} processes" if processes.size > 1 else "")
        + f", seed {job.recipe.seed}"
    )


def _facts_of_run(job: Job, setup: TrainingSetup) -> dict[str, Any]:
    """Set the threads; what a checkpoint says of this run, with a warning where it computes otherwise than before."""
    before = job.saved.facts if job.saved else {}
    on_cpu = setup.place.device.type == "cpu"
    facts = {
        "threads": set_threads(setup.machine, before.get("threads") if on_cpu else None),
        "precision": setup.place.precision,
        "processes": process_group().size,
        "compiled": setup.place.compiled,
        "about": job.about,
        "consumed": dict(job.consumed),
    }
    names = ("threads", "processes", "compiled") if on_cpu else ("processes", "compiled")
    for name in names:
        if before and before[name] != facts[name]:
            change = f"{name} {before[name]} -> {facts[name]}"
            setup.reporter.warn(f"{change}: the result will differ in its last bits")
    return facts


def _facts_of_result(training: Training, setup: TrainingSetup) -> dict[str, Any]:
    progress = training.progress
    rates = [row["images_per_second"] for row in progress.history if row["images_per_second"]]
    return {
        "batch_size": setup.batch_size,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "seconds": round(sum(row["seconds"] for row in progress.history), 3),
        "images_per_second": round(sum(rates) / len(rates), 2) if rates else None,
        "precision": setup.place.precision,
        "compiled": setup.place.compiled,
        **training.graph_facts,
        "processes": process_group().size,
    }


def _out_of_memory(training: Training, setup: TrainingSetup, *, is_certain: bool) -> str | None:
    """What would fit; None where nothing does and it was not certain that memory was lacking."""
    size, processes = setup.recipe.batch_size, process_group()
    what = f"out of memory with --batch-size {size}"
    saved = "the finished epochs are saved" if training.progress.epoch else "no epoch was finished"
    if processes.size > 1 or setup.place.device.type == "cpu":
        return f"{what}; {saved}. Start over with --fresh --batch-size {max(2, size // 2)}"
    fits = largest_batch(training, setup)
    if fits is None and not is_certain:
        return None
    if fits is None:
        return f"{what}, and not even 2 images fit; {saved}. Try smaller images or --width 0.5"
    return f"{what}; {fits} would fit; {saved}. Start over with --fresh --batch-size {fits}"


def _position(progress: Progress) -> str:
    return f"epoch {progress.epoch}" + (f" and {progress.step} steps of the next" if progress.step else "")
