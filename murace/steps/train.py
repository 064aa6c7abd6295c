"""Train one learner on all groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace import device, session
from murace.checkpoint import recorded_precision, save_model
from murace.config import Machine, TrainConfig, params
from murace.data.batches import Images
from murace.data.store import IDS, open_pixels, read_index, write_frame
from murace.fit import Part, Progress, Setting, part_of
from murace.forward import logits_of, probabilities
from murace.loss import group_weights
from murace.nets import Learner, count_parameters, create
from murace.record import Action, Wish, commit, read, require, take_up, writing
from murace.vocabulary import Split
from murace.watch import Watch
from murace.workspace import FitFolder, Workspace

PREPARED = ("index.csv", "pixels.npy")


@dataclass(frozen=True)
class Trained:
    """What `train` did for one learner; `info` is what its record says about the result."""

    learner: str
    skipped: bool
    info: dict[str, Any]


def run(workspace: Workspace, config: TrainConfig, *, machine: Machine, wish: Wish, watch: Watch) -> Trained:
    """Train `config.learner`, or resume, or say why there is nothing to do.

    In this order: 1. the device; 2. the prepared data; 3. finished and unchanged: skip; 4. unfinished: resume from the
    newest state; 5. else from scratch.

    Raises:
        MachineError, WorkspaceError, UsageError, Interrupted: see their classes.
    """
    chosen, remark = device.choose(machine)
    folder = workspace.train(config.learner)
    prepared = require(workspace.prepare.folder, "murace prepare SOURCE", PREPARED)
    size = int(prepared.params["size"])
    net = _fresh_net(config, size)
    name = f"train/{config.learner}"
    with writing(folder.folder):
        digests = prepared.digests("prepare")
        consumed = {f"prepare/{part}": digests[f"prepare/{part}"] for part in PREPARED}
        scratch = folder.checkpoint
        plan = take_up(folder.folder, name, params(config), consumed, wish=wish, watch=watch, states=scratch)
        if plan.action is Action.SKIP:
            done = read(folder.folder)
            assert done is not None
            return Trained(config.learner, skipped=True, info=done.info)
        if remark:
            watch.say(remark)
        recorded = recorded_precision(folder.checkpoint)
        place = device.Place(chosen, device.resolve_precision(config.recipe.precision, chosen, recorded))
        setting, index = _setting(workspace, config, place, watch)
        facts = {"learner": config.learner, "width": config.width, "head": config.head, "size": size}
        _announce(config, net, setting)
        resumes = plan.action is Action.RESUME
        progress = session.run(session.Job(net, facts, folder.checkpoint, machine, resumes=resumes), setting)
        info = _describe(net, size, progress, setting)
        _write(folder, net, facts, progress, setting, index)
        commit(folder.folder, ["model.safetensors", "history.csv", "predictions.csv"], device=place.name, info=info)
    return Trained(config.learner, skipped=False, info=info)


def _fresh_net(config: TrainConfig, size: int) -> Learner:
    """A net whose first weights are a function of the seed alone, on any device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.recipe.seed)
        return create(config.learner, width=config.width, head=config.head, size=size)


def _setting(
    workspace: Workspace, config: TrainConfig, place: device.Place, watch: Watch
) -> tuple[Setting, pd.DataFrame]:
    index = read_index(workspace.prepare.index)
    train = index[index["split"] == Split.TRAIN]
    validation = index[index["split"] == Split.VALIDATION]
    weights = group_weights(train["group"], train["label"])
    parts = part_of(train, weights), part_of(validation, weights)
    rows = np.array(pd.concat([train, validation])["row"], dtype=np.int64)
    images = Images(open_pixels(workspace.prepare.pixels), rows, place.device)
    return Setting(*parts, images, config.recipe, place, watch), validation


def _announce(config: TrainConfig, net: Learner, setting: Setting) -> None:
    total, trainable = count_parameters(net)
    train, validation = len(setting.train.rows), len(setting.validation.rows)
    setting.watch.say(
        f"{config.learner}: {total:,} parameters ({trainable:,} trainable), {train:,} training and {validation:,} "
        f"validation images, batch {setting.batch_size}, {setting.place.precision} on {setting.place.name}, "
        f"seed {config.recipe.seed}"
    )


def _describe(net: Learner, size: int, progress: Progress, setting: Setting) -> dict[str, Any]:
    total, trainable = count_parameters(net)
    rates = [row["images_per_second"] for row in progress.history if row["images_per_second"]]
    return {
        "size": size,
        "parameters": total,
        "trainable": trainable,
        "batch_size": setting.batch_size,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "seconds": round(sum(row["seconds"] for row in progress.history), 3),
        "images_per_second": round(sum(rates) / len(rates), 2) if rates else None,
        "precision": setting.place.precision,
    }


def _write(
    folder: FitFolder, net: Learner, facts: dict[str, Any], progress: Progress, setting: Setting, index: pd.DataFrame
) -> None:
    save_model(folder.model, net, facts)
    write_frame(folder.history, pd.DataFrame(progress.history))
    validation: Part = setting.validation
    logits = logits_of(net, setting.images, validation.rows, place=setting.place, watch=setting.watch)
    predictions = index[IDS].assign(**{facts["learner"]: probabilities(logits)})
    write_frame(folder.predictions, predictions, private=True)
