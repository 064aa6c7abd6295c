"""One resumable training in one folder of checkpoints: the loop of `fit`, with every state it yields put on disk."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from murace.config import Machine
from murace.errors import Interrupted, MachineError, WorkspaceError
from murace.nets import Learner
from murace.nets.forward import Probabilities
from murace.nets.weights import load_weights
from murace.system.device import set_threads
from murace.system.failures import is_out_of_memory
from murace.system.processes import process_group
from murace.system.progress import Bar
from murace.training.checkpoint import SavedState, latest_state
from murace.training.loop import fit
from murace.training.resources import largest_batch
from murace.training.saver import Facts, Saver, restore
from murace.training.state import Progress, Setting, Training, TrainingEvent, start
from murace.workspace import Record, differences

FACTS = ("threads", "precision", "processes", "compiled", "about", "consumed", "progress")  # of a state


@dataclass(frozen=True)
class Job:
    """What is trained where: the net, the facts that rebuild it, and the folder of its states.

    `about` are the settings and `consumed` the digests of the data: a state is resumed for these alone.
    """

    net: Learner
    facts: Facts
    about: Facts
    consumed: Mapping[str, str]
    folder: Path
    machine: Machine
    resumes: bool = False
    score_start: bool = False


@dataclass(frozen=True)
class Fitted:
    """A training that has ended: its history, and the best epoch's probabilities of the validation images, [N]."""

    progress: Progress
    validation: Probabilities


def run(job: Job, setting: Setting) -> Fitted:
    """Train to the end from wherever the folder's newest state stands; leaves the best epoch's weights in `job.net`.

    In this order: 1. threads as recorded, since their number changes the last bits; 2. the newest state, if any;
    3. the loop, saving at each epoch's end and at a pause; 4. the best weights. Of several processes the leading one
    saves; the others keep the weights of the last epoch.

    Raises:
        Interrupted: a signal came; the state is saved.
        MachineError: out of memory; the message says what would fit. Or another process of the run has ended.
        WorkspaceError: the state is damaged, of another net or data, or was made with another precision.
    """
    saved = latest_state(job.folder, sweeps=process_group().leads)
    if saved is not None:
        require_same(saved.facts, job.folder, job.about, job.consumed)
    facts = _facts(job, setting, saved)
    training = start(job.net, setting)
    if saved is not None:
        restore(training, saved, setting)
        setting.reporter.say(f"resuming after {_position(training.progress)}")
    elif job.resumes:
        setting.reporter.warn("the unfinished run had saved no state yet: starting from its beginning")
    behind, best = setting.place.device.type != "cpu", saved.best if saved else None
    saver = Saver(job.folder, model=job.facts, run=facts, best=best, behind=behind)
    try:
        _go_through(training, setting, saver, score_start=job.score_start)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the step that failed
        raise MachineError(_out_of_memory(training, setting)) from error
    finally:
        saver.close()
    if saver.best is not None and process_group().leads:
        load_weights(saver.best, job.net)
    return Fitted(training.progress, training.best.numpy())


def _go_through(training: Training, setting: Setting, saver: Saver, *, score_start: bool) -> None:
    leads, recipe, reporter = process_group().leads, setting.recipe, setting.reporter
    with reporter.bar("epochs", recipe.epochs, start=training.progress.epoch, lines=True) as epochs:
        for event in fit(training, setting, score_start=score_start):
            if leads:
                saver.save(training, event, then=partial(_announce, epochs, event))
            if event.signum is not None:
                saver.wait()
                process_group().first_signal(
                    None
                )  # nobody leaves before the state is saved: the others would be ended then
                raise Interrupted(event.signum)
        saver.wait()  # the last line


def _announce(epochs: Bar, event: TrainingEvent) -> None:
    """An epoch that a person has read of is on the disk: it is said after it has been saved."""
    if event.note:
        epochs.advance(1, note=event.note)


def require_same(facts: Facts, folder: Path, about: Facts, consumed: Mapping[str, str]) -> None:
    """Make sure that a state is of this very run: it may have been copied from another one, or another workspace.

    Args:
        facts: of the state.
        folder: of the states.
        about: the settings of this run.
        consumed: the digests of its data.

    Raises:
        WorkspaceError: it is not; the message tells the differences.
    """
    now = {"about": dict(about), "consumed": dict(consumed)}
    before: dict[str, Any] = {key: facts.get(key) for key in now}
    if not set(FACTS) <= set(facts) or not all(isinstance(value, dict) for value in before.values()):
        raise WorkspaceError(f"the checkpoint in {folder} is of an older murace. Start over with --fresh")
    if before != now:
        old = Record(step="", params=before["about"], consumed=before["consumed"])
        changes = "; ".join(differences(old, about, consumed))
        raise WorkspaceError(f"the checkpoint in {folder} is of another run: {changes}. Start over with --fresh")


def _facts(job: Job, setting: Setting, saved: SavedState | None) -> dict[str, Any]:
    """How this run computes; where that differs from the state's run in more than speed, say so."""
    before = saved.facts if saved else {}
    on_cpu = setting.place.device.type == "cpu"
    threads = set_threads(job.machine, before.get("threads") if on_cpu else None)
    facts = {
        "threads": threads,
        "precision": setting.place.precision,
        "processes": process_group().size,
        "compiled": setting.place.compiled,
        "about": dict(job.about),
        "consumed": dict(job.consumed),
    }
    names = ("threads", "processes", "compiled") if on_cpu else ("processes", "compiled")
    for name in names:
        if saved and before[name] != facts[name]:
            change = f"{name} {before[name]} -> {facts[name]}"
            setting.reporter.warn(f"{change}: the result will differ in its last bits")
    return facts


def _out_of_memory(training: Training, setting: Setting) -> str:
    size, processes = setting.recipe.batch_size, process_group()
    story = f"out of memory with --batch-size {size}"
    saved = "the finished epochs are saved" if training.progress.epoch else "no epoch was finished"
    if processes.size > 1 or setting.place.device.type == "cpu":
        return f"{story}; {saved}. Start over with --fresh --batch-size {max(2, size // 2)}"
    fits = largest_batch(training, setting)
    if fits is None:
        return f"{story}, and not even 2 images fit; {saved}. Try smaller images or --width 0.5"
    return f"{story}; {fits} would fit; {saved}. Start over with --fresh --batch-size {fits}"


def _position(progress: Progress) -> str:
    return f"epoch {progress.epoch}" + (f" and {progress.step} steps of the next" if progress.step else "")
