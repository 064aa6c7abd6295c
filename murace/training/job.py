"""One training to be done, in the same words for the process that leads and for those that follow it.

A learner is trained on all groups from scratch; a member is its learner trained on, on one group.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace.config import Machine, Recipe, params, recipe_from
from murace.data.loading.batches import Images
from murace.data.store import IDS, open_pixels, read_index, write_frame
from murace.errors import UsageError, WorkspaceError
from murace.nets import Learner, count_parameters, create, outline
from murace.nets.weights import load_model, save_model
from murace.system import device
from murace.system.files import digest_of
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training import run
from murace.training.checkpoint import recorded_facts
from murace.training.loss import group_weights
from murace.training.resources import require_memory, require_room
from murace.training.state import Progress, Setting, part_of
from murace.vocabulary import CALIBRATED, Split
from murace.workspace import EPOCHS, OPERATIONAL
from murace.workspace.paths import HISTORY, MODEL, PREDICTIONS, FitFolder, Workspace

FILES = [MODEL, HISTORY, PREDICTIONS]


@dataclass(frozen=True)
class Circumstances:
    """Where trainings run, and who watches."""

    machine: Machine
    device: torch.device
    reporter: Reporter


@dataclass(frozen=True)
class Task:
    """A training: its recipe, the form of its net, what it consumes, and the group of a member.

    `form` has learner, width, head and size; `consumed` maps a file in the workspace to its SHA-256.
    """

    recipe: Recipe
    form: Mapping[str, Any]
    consumed: Mapping[str, str]
    group: str | None = None
    resumes: bool = False

    def folder(self, workspace: Workspace) -> FitFolder:
        """Where it leaves its files."""
        return workspace.train(self.form["learner"]) if self.group is None else workspace.finetune(self.group)

    def about(self, groups: list[str]) -> dict[str, Any]:
        """What a state must be about to be resumed; more epochs continue it, and its precision stands beside."""
        recipe = {key: value for key, value in params(self.recipe).items() if key not in ("epochs", "precision")}
        return {**recipe, **self.form, "groups": ", ".join(groups)}

    def net(self, workspace: Workspace) -> Learner:
        """The net at its beginning: a function of the seed on any device, or the learner's weights."""
        if self.group is not None:
            return load_model(workspace.train(self.form["learner"]).model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            return build(self.form)


@dataclass(frozen=True)
class Done:
    """A training that has ended; `facts` are what a record says of how it went."""

    net: Learner
    fitted: run.Fitted
    setting: Setting
    facts: dict[str, Any]

    @property
    def parts(self) -> dict[str, str]:
        """What a child may consume of the files: the history has other seconds each time, the epochs are the same."""
        history = self.fitted.progress.history
        return {EPOCHS: digest_of([{k: v for k, v in row.items() if k not in OPERATIONAL} for row in history])}


def build(form: Mapping[str, Any]) -> Learner:
    """A net of that form with fresh weights."""
    return create(form["learner"], width=form["width"], head=form["head"], size=form["size"])


def require_same_run(task: Task, workspace: Workspace) -> None:
    """Make sure that the saved states that a task would go on from are its own; asked before anything is noted.

    Raises:
        WorkspaceError: they are of another run; the message tells the differences.
    """
    states = task.folder(workspace).checkpoint
    if task.resumes and (facts := recorded_facts(states)):
        run.require_same(facts, states, task.about(_groups(task, workspace)), task.consumed)
        done, asked = facts["progress"]["epoch"], task.recipe.epochs
        if done > asked:
            raise WorkspaceError(
                f"the checkpoint in {states} has gone through {done} epochs, more than --epochs {asked}. "
                f"Run with --epochs {done} or more, or start over with --fresh"
            )


def require_possible(task: Task, workspace: Workspace, circumstances: Circumstances) -> None:
    """Make sure that a task can be carried out; asked before anything notes that it has begun.

    Raises:
        UsageError: more processes than images in a batch, or a net compiled for several processes.
        MachineError: its checkpoints will not fit on the disk, or a batch into memory.
    """
    train, _ = _images_of(task, workspace)
    place = _place(task, workspace, circumstances, images=len(train) * task.recipe.epochs)
    size = min(task.recipe.batch_size, len(train))
    if process_group().size > size:
        raise UsageError(f"{process_group().size} processes for batches of {size} images: start at most {size}")
    shadow = outline(task.form["learner"], **{key: task.form[key] for key in ("width", "head", "size")})
    require_room(shadow, task.folder(workspace).checkpoint)
    if place.device.type != "cpu":
        return  # what fits into a GPU is found by trying
    setting, _ = _setting(task, workspace, circumstances)
    require_memory(shadow, setting, device.free_memory())


def lead(task: Task, workspace: Workspace, circumstances: Circumstances) -> Done:
    """Carry out a task, with all processes of this run, and leave its files; the record is the caller's.

    Raises:
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    setting, validation = _setting(task, workspace, circumstances)
    if validation.empty and task.group is not None:
        circumstances.reporter.warn(f"{task.group} has no validation images: its unspecialised weights are kept")
    # The others take the precision from here, whatever their own processors have.
    told = replace(task, recipe=replace(task.recipe, precision=setting.place.precision))
    process_group().broadcast({"task": asdict(told)})
    done = _carry_out(task, setting, workspace, circumstances)
    folder = task.folder(workspace)
    save_model(folder.model, done.net.state_dict(), task.form)
    write_frame(folder.history, pd.DataFrame(done.fitted.progress.history))
    column = CALIBRATED if task.group else task.form["learner"]
    write_frame(folder.predictions, validation[IDS].assign(**{column: done.fitted.validation}), private=True)
    return done


def follow(workspace: Workspace, circumstances: Circumstances) -> Any:
    """Carry out with the leading process every task that it tells; returns its last word, `{"done": ...}`."""
    while "task" in (word := process_group().receive()):
        told = word["task"]
        task = Task(**{**told, "recipe": recipe_from(told["recipe"])})
        setting, _ = _setting(task, workspace, circumstances)
        _carry_out(task, setting, workspace, circumstances)
    return word["done"]


def require_equal_shares(recipe: Recipe) -> None:
    """Make sure that the processes of this run get equally many images of a batch.

    Raises:
        UsageError: they do not.
    """
    size, processes = recipe.batch_size, process_group().size
    if size % processes:
        below, above = size // processes * processes, (size // processes + 1) * processes
        choice = f"{below} or {above}" if below else f"{above}"
        raise UsageError(f"--batch-size {size} cannot be shared equally by {processes} processes: choose {choice}")


def _setting(task: Task, workspace: Workspace, circumstances: Circumstances) -> tuple[Setting, pd.DataFrame]:
    """The images of the task, weighted for it; and the index of the validation images."""
    train, validation = _images_of(task, workspace)
    weights = group_weights(train["group"], train["label"])
    rows = np.array(pd.concat([train, validation])["row"], dtype=np.int64)
    place = _place(task, workspace, circumstances, images=len(train) * task.recipe.epochs)
    images = Images(open_pixels(workspace.prepare.pixels), rows, place.device)
    parts = part_of(train, weights), part_of(validation, weights)
    return Setting(*parts, images, task.recipe, place, circumstances.reporter), validation


def _groups(task: Task, workspace: Workspace) -> list[str]:
    """Those of the training images."""
    return sorted(set(_images_of(task, workspace)[0]["group"]))


def _images_of(task: Task, workspace: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The index of the images for training and for validation."""
    index = read_index(workspace.prepare.index)
    if task.group is not None:
        index = index[index["group"] == task.group]
    return index[index["split"] == Split.TRAIN], index[index["split"] == Split.VALIDATION]


def _place(task: Task, workspace: Workspace, circumstances: Circumstances, *, images: int) -> device.Place:
    """Where and how it computes: as asked, else as its unfinished run did, else as suits the machine."""
    recorded = recorded_facts(task.folder(workspace).checkpoint) if task.resumes else {}
    chosen = circumstances.device
    precision = device.resolve_precision(task.recipe.precision, chosen, recorded.get("precision"))
    asked = circumstances.machine.compile
    compiled = device.resolve_compile(asked, chosen, images, recorded.get("compiled"))
    return device.Place(chosen, precision, compiled=compiled)


def _carry_out(task: Task, setting: Setting, workspace: Workspace, circumstances: Circumstances) -> Done:
    net = task.net(workspace)
    _announce(task, net, setting)
    groups = _groups(task, workspace)
    job = run.Job(
        net,
        task.form,
        task.about(groups),
        task.consumed,
        task.folder(workspace).checkpoint,
        circumstances.machine,
        resumes=task.resumes,
        score_start=task.group is not None,
    )
    fitted = run.run(job, setting)
    return Done(net, fitted, setting, _facts(fitted.progress, setting))


def _announce(task: Task, net: Learner, setting: Setting) -> None:
    total, trainable = count_parameters(net)
    train, validation, processes = len(setting.train.rows), len(setting.validation.rows), process_group()
    where = f"{setting.place.precision} on {setting.place.name}" + ", compiled" * setting.place.compiled
    setting.reporter.say(
        (f"{task.group}: " if task.group else "")
        + f"{task.form['learner']}: {total:,} parameters ({trainable:,} trainable), {train:,} training and "
        f"{validation:,} validation images, batch {setting.batch_size}, {where}"
        + (f" in {processes.size} processes" if processes.size > 1 else "")
        + f", seed {task.recipe.seed}"
    )


def _facts(progress: Progress, setting: Setting) -> dict[str, Any]:
    rates = [row["images_per_second"] for row in progress.history if row["images_per_second"]]
    return {
        "batch_size": setting.batch_size,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "seconds": round(sum(row["seconds"] for row in progress.history), 3),
        "images_per_second": round(sum(rates) / len(rates), 2) if rates else None,
        "precision": setting.place.precision,
        "compiled": setting.place.compiled,
        "processes": process_group().size,
    }
