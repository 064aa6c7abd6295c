"""One training as a job: its recipe, net, data and checkpoints, whether it can be carried out, and its result.

`train` makes a job of a learner with fresh weights and the images of all groups, `finetune` one of that learner's
weights and the images of one group.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace.config import Machine, Recipe, changed_settings, params, recipe_from
from murace.data.loading.batches import Images
from murace.data.store import IDS, open_pixels, read_index, write_frame
from murace.errors import UsageError, WorkspaceError
from murace.nets import Learner, create, outline
from murace.nets.forward import Probabilities
from murace.nets.weights import load_model, save_model
from murace.system import device
from murace.system.files import changed_files, digest_of
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training.checkpoint import FACTS, SavedState, newest_state
from murace.training.epoch import CLOCK
from murace.training.loss import group_weights
from murace.training.resources import require_memory, require_room
from murace.training.state import Progress, TrainingSetup, split_arrays
from murace.vocabulary import CALIBRATED, Split

PATHS = ("index", "pixels", "checkpoints", "initial")  # of a job, relative to a root in a message


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training. What stands in its files is read once, when it is first asked for.

    Attributes:
        recipe: the hyperparameters.
        form: what rebuilds the net: learner, width, head and size.
        index: the table of images; those of `group`, or all, are trained and validated on.
        pixels: their array.
        consumed: the digests of the data, file -> SHA-256; a checkpoint is resumed for the same data only.
        checkpoints: the folder of the saved states.
        initial: the weights to start from, which count as epoch 0; None: fresh ones from the recipe's seed.
        group: the group of a member.
        resumes: whether to go on from the newest checkpoint.
    """

    recipe: Recipe
    form: Mapping[str, Any]
    index: Path
    pixels: Path
    consumed: Mapping[str, str]
    checkpoints: Path
    initial: Path | None = None
    group: str | None = None
    resumes: bool = False

    @cached_property
    def splits(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of the index for training and for validation."""
        images = read_index(self.index)
        if self.group is not None:
            images = images[images["group"] == self.group]
        return images[images["split"] == Split.TRAIN], images[images["split"] == Split.VALIDATION]

    @cached_property
    def saved(self) -> SavedState | None:
        """The newest checkpoint, where the training resumes and has saved any."""
        return newest_state(self.checkpoints) if self.resumes else None

    @property
    def about(self) -> dict[str, Any]:
        """The settings that a checkpoint must share: more epochs continue it, and its precision stands beside."""
        recipe = {key: value for key, value in params(self.recipe).items() if key not in ("epochs", "precision")}
        return {**recipe, **self.form, "groups": ", ".join(sorted(set(self.splits[0]["group"])))}

    def net(self) -> Learner:
        """The net with its initial weights; fresh ones are a function of the seed, the same on any device."""
        if self.initial is not None:
            return load_model(self.initial)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            return build(self.form)

    def message(self, root: Path, *, precision: str) -> dict[str, Any]:
        """The job as JSON for the other processes, which take the precision from here, whatever their processors have.

        Its paths are relative to `root`, which may lie elsewhere for a process on another machine.
        """
        paths = {name: path.relative_to(root).as_posix() for name in PATHS if (path := getattr(self, name)) is not None}
        own = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in PATHS}
        return {**own, **paths, "recipe": params(replace(self.recipe, precision=precision))}

    @classmethod
    def from_message(cls, message: Mapping[str, Any], root: Path) -> "Job":
        """The inverse of `message`."""
        paths = {name: root / message[name] for name in PATHS if name in message}
        return cls(**{**message, **paths, "recipe": recipe_from(message["recipe"])})


@dataclass(frozen=True)
class Result:
    """What a training ended with: the best epoch's weights in `net`, the progress with its history, and more.

    Attributes:
        validation: the best epoch's probabilities of the validation images, float64 [N].
        facts: what a record says of how the training went.
    """

    net: Learner
    progress: Progress
    validation: Probabilities
    facts: dict[str, Any]

    @property
    def history_digest(self) -> str:
        """The SHA-256 of the history without its clock: two equal trainings have the same."""
        return digest_of([{k: v for k, v in row.items() if k not in CLOCK} for row in self.progress.history])


def build(form: Mapping[str, Any]) -> Learner:
    """A net of that form (learner, width, head, size) with fresh weights."""
    return create(form["learner"], width=form["width"], head=form["head"], size=form["size"])


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


def require_own_checkpoint(job: Job) -> None:
    """Make sure that the checkpoint to resume from is of this very training, not copied from another one.

    Raises:
        WorkspaceError: it is not, and the message tells the differences; or it is damaged.
    """
    if job.saved is None:
        return
    facts, start_over = job.saved.facts, "Start over with --fresh"
    about, consumed = facts.get("about"), facts.get("consumed")
    if not set(FACTS) <= set(facts) or not isinstance(about, dict) or not isinstance(consumed, dict):
        raise WorkspaceError(f"the checkpoint in {job.checkpoints} is of an older murace. {start_over}")
    changes = [*changed_settings(about, job.about), *changed_files(consumed, job.consumed)]
    if changes:
        raise WorkspaceError(
            f"the checkpoint in {job.checkpoints} is of another run: {'; '.join(changes)}. {start_over}"
        )
    done, asked = facts["progress"]["epoch"], job.recipe.epochs
    if done > asked:
        raise WorkspaceError(
            f"the checkpoint in {job.checkpoints} has gone through {done} epochs, more than --epochs {asked}. "
            f"Run with --epochs {done} or more, or start over with --fresh"
        )


def set_up(job: Job, machine: Machine, chosen: torch.device, reporter: Reporter) -> TrainingSetup:
    """Weigh the images of a job, open its pixels, and settle precision and compilation: as asked, as recorded, or auto.

    The leading process also makes sure that the training can be carried out.

    Raises:
        UsageError: more processes than images in a batch, or a net compiled for several processes.
        MachineError: its checkpoints will not fit on the disk, or a batch into a CPU's memory (what fits into a GPU is
            found by trying), or bf16 on a GPU without it.
        DataError: the training images of a group are of one class.
    """
    (train, validation), recorded = job.splits, job.saved.facts if job.saved else {}
    precision = device.resolve_precision(job.recipe.precision, chosen, recorded.get("precision"))
    compiled = device.resolve_compile(machine.compile, recorded.get("compiled"))
    # A graph that was given up stays so on a resume, unless it is asked for.
    graph = "off" if machine.graph == "auto" and recorded.get("graph_reason") else machine.graph
    place = device.Place(chosen, precision, compiled=compiled, graph=graph)
    processes, size = process_group(), min(job.recipe.batch_size, len(train))
    shadow = outline(job.form["learner"], **{key: job.form[key] for key in ("width", "head", "size")})
    if processes.leads:
        if processes.size > size:
            raise UsageError(f"{processes.size} processes for batches of {size} images: start at most {size}")
        require_room(shadow, job.checkpoints)
    weights = group_weights(train["group"], train["label"])
    rows = np.array(pd.concat([train, validation])["row"], dtype=np.int64)
    images = Images(open_pixels(job.pixels), rows, chosen, reporter)
    arrays = split_arrays(train, weights), split_arrays(validation, weights)
    setup = TrainingSetup(*arrays, images, job.recipe, place, reporter, machine)
    if processes.leads and chosen.type == "cpu":
        require_memory(shadow, setup, device.free_memory())
    return setup


def write_result(job: Job, result: Result, *, model: Path, history: Path, predictions: Path) -> None:
    """Write the best epoch's weights, the history, and the probabilities of the validation images."""
    save_model(model, result.net.state_dict(), job.form)
    write_frame(history, pd.DataFrame(result.progress.history))
    column = job.form["learner"] if job.group is None else CALIBRATED
    write_frame(predictions, job.splits[1][IDS].assign(**{column: result.validation}), private=True)
