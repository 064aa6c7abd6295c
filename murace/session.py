"""One resumable training in one folder of checkpoints: the loop of `fit`, with every state it yields put on disk."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from murace.checkpoint import flatten_adam, latest_state, load_weights, restore_adam, save_model, save_state
from murace.config import Machine
from murace.device import set_threads
from murace.errors import Interrupted, MachineError, WorkspaceError
from murace.fit import Progress, Setting, Training, fit, start

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """What is trained where: the net, the facts that rebuild it, and the folder of its states."""

    net: nn.Module
    facts: Facts
    folder: Path
    machine: Machine
    resumes: bool = False
    score_start: bool = False


def run(job: Job, setting: Setting) -> Progress:
    """Train to the end from wherever the folder's newest state stands; leaves the best epoch's weights in `job.net`.

    In this order: 1. threads as recorded, since their number changes the last bits; 2. the newest state, if any;
    3. the loop, saving at each epoch's end and at a pause; 4. the best weights.

    Raises:
        Interrupted: a signal came; the state is saved.
        MachineError: the GPU ran out of memory.
        WorkspaceError: the state is damaged or was made with another precision.
    """
    saved = latest_state(job.folder)
    recorded = saved.facts["threads"] if saved and setting.place.device.type == "cpu" else None
    threads = set_threads(job.machine, recorded)
    training = start(job.net, setting)
    best = None
    if saved is not None:
        _restore(training, saved.tensors, saved.facts, setting)
        best = saved.best
        setting.watch.say(f"resuming after {_position(training.progress)}")
        if recorded not in (None, threads):
            setting.watch.warn(f"--threads {recorded} -> {threads}: the result will differ in its last bits")
    elif job.resumes:
        setting.watch.warn("the unfinished run had saved no state yet: starting from its beginning")
    facts = {"threads": threads, "precision": setting.place.precision}
    try:
        for moment in fit(training, setting, score_start=job.score_start):
            if moment.is_best:
                best = job.folder / f"best-{training.progress.epoch:06d}.safetensors"
                save_model(best, training.net, job.facts)
            _save(job.folder, training, facts, best)
            if moment.signum is not None:
                raise Interrupted(moment.signum)
    except torch.cuda.OutOfMemoryError as error:
        raise MachineError(
            f"out of GPU memory with --batch-size {setting.recipe.batch_size}: try a smaller one, with --fresh"
        ) from error
    assert best is not None
    load_weights(best, job.net)
    return training.progress


def _save(folder: Path, training: Training, facts: Facts, best: Path | None) -> None:
    progress = training.progress
    tensors = {
        **{f"net.{name}": tensor for name, tensor in training.net.state_dict().items()},
        **flatten_adam(training.optimizer),
        "losses": training.losses,
        "rng": torch.get_rng_state(),
    }
    facts = {**facts, "progress": asdict(progress)}
    save_state(folder, tensors, facts, position=(progress.epoch, progress.step), best=best)


def _restore(training: Training, tensors: dict[str, torch.Tensor], facts: Facts, setting: Setting) -> None:
    if facts["precision"] != setting.place.precision:
        raise WorkspaceError(
            f"the unfinished run was in {facts['precision']}, this one would be in {setting.place.precision}: "
            f"go on with --precision {facts['precision']}, or start over with --fresh"
        )
    net = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    try:
        training.net.load_state_dict(net)
        restore_adam(training.optimizer, tensors)
        training.losses.copy_(tensors["losses"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise WorkspaceError(f"the checkpoint does not fit this run ({error}); start over with --fresh") from error
    training.progress = Progress(**facts["progress"])
    torch.set_rng_state(tensors["rng"])  # last: nothing may draw between here and the first step


def _position(progress: Progress) -> str:
    return f"epoch {progress.epoch}" + (f" and {progress.step} steps of the next" if progress.step else "")
