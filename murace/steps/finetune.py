"""Specialise each group's designated learner on that group's training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace import device, session
from murace.chain import require_choice
from murace.checkpoint import load_model, recorded_precision, save_model
from murace.config import FinetuneConfig, Machine, Recipe, params
from murace.data.batches import Images
from murace.data.store import IDS, open_pixels, read_index, write_frame
from murace.errors import UsageError
from murace.files import read_json
from murace.fit import Progress, Setting, part_of
from murace.forward import logits_of, probabilities
from murace.loss import group_weights
from murace.record import Action, Wish, commit, read, require, take_up, writing
from murace.vocabulary import CALIBRATED, Split, closest
from murace.watch import Watch
from murace.workspace import Workspace

PREPARED = ("index.csv", "pixels.npy")
FORM = ("learner", "width", "head", "size")


@dataclass(frozen=True)
class Finetuned:
    """What happened for one group; `info` is what its record says about the result."""

    group: str
    learner: str
    skipped: bool
    info: dict[str, Any]


@dataclass(frozen=True)
class Circumstances:
    """Where and how the members are made."""

    machine: Machine
    device: torch.device
    wish: Wish
    watch: Watch


@dataclass(frozen=True)
class Order:
    """One group's job: the recipe, the form of its learner, and what it consumes."""

    group: str
    recipe: Recipe
    form: dict[str, Any]
    consumed: dict[str, str]

    @property
    def params(self) -> dict[str, Any]:
        """What its record keeps and compares."""
        return {**params(self.recipe), **self.form}


def run(
    workspace: Workspace,
    config: FinetuneConfig,
    *,
    groups: Sequence[str],
    machine: Machine,
    wish: Wish,
    watch: Watch,
) -> list[Finetuned]:
    """Fine-tune a member for each of `groups` (all where empty); finished ones are skipped.

    Raises:
        UsageError: a group that the roster does not know.
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    chosen, remark = device.choose(machine)
    require_choice(workspace)
    entries = read_json(workspace.calibrate.roster)["groups"]
    for group in groups:
        if group not in entries:
            raise UsageError(f"--groups: unknown group '{group}'{closest(group, entries)}")
    learners = {group: entries[group]["learner"] for group in groups or sorted(entries)}
    orders = _orders(workspace, config, learners)
    circumstances = Circumstances(machine, chosen, wish, watch)
    if remark:
        watch.say(remark)
    return [_finetune(workspace, order, circumstances) for order in orders]


def _orders(workspace: Workspace, config: FinetuneConfig, learners: Mapping[str, str]) -> list[Order]:
    """A job per group, each parent checked once."""
    prepared = require(workspace.prepare.folder, "murace prepare SOURCE", PREPARED).digests("prepare")
    roster = require(workspace.calibrate.folder, "murace calibrate", ("roster.json",)).digests("calibrate")
    trained = {
        learner: require(workspace.train(learner).folder, f"murace train --arch {learner}", ("model.safetensors",))
        for learner in sorted(set(learners.values()))
    }
    orders = []
    for group, learner in learners.items():
        name = f"train/{learner}/model.safetensors"
        consumed = {f"prepare/{part}": prepared[f"prepare/{part}"] for part in PREPARED}
        consumed |= {name: trained[learner].digests(f"train/{learner}")[name]}
        consumed |= {f"calibrate/roster.json:{group}": roster[f"calibrate/roster.json:{group}"]}
        form = {key: trained[learner].params[key] for key in FORM if key != "size"}
        form["size"] = int(trained[learner].info["size"])
        orders.append(Order(group, config.recipe_for(learner), form, consumed))
    return orders


def _finetune(workspace: Workspace, order: Order, circumstances: Circumstances) -> Finetuned:
    """One member: skip, resume or run, in the order that `murace.record.decide` tells."""
    folder, watch = workspace.finetune(order.group), circumstances.watch
    with writing(folder.folder):
        name = f"finetune/{order.group}"
        wish, scratch = circumstances.wish, folder.checkpoint
        plan = take_up(folder.folder, name, order.params, order.consumed, wish=wish, watch=watch, states=scratch)
        if plan.action is Action.SKIP:
            done = read(folder.folder)
            assert done is not None
            return Finetuned(order.group, order.form["learner"], skipped=True, info=done.info)
        net = load_model(workspace.train(order.form["learner"]).model)
        setting, index = _setting(workspace, order, circumstances)
        watch.say(
            f"{order.group}: {order.form['learner']} on {len(setting.train.rows):,} training and "
            f"{len(setting.validation.rows):,} validation images, {setting.place.precision} on {setting.place.name}"
        )
        resumes = plan.action is Action.RESUME
        job = session.Job(net, order.form, folder.checkpoint, circumstances.machine, resumes=resumes, score_start=True)
        progress = session.run(job, setting)
        info = _describe(order, progress, setting)
        save_model(folder.model, net, order.form)
        write_frame(folder.history, pd.DataFrame(progress.history))
        logits = logits_of(net, setting.images, setting.validation.rows, place=setting.place, watch=watch)
        write_frame(folder.predictions, index[IDS].assign(**{CALIBRATED: probabilities(logits)}), private=True)
        names = ["model.safetensors", "history.csv", "predictions.csv"]
        commit(folder.folder, names, device=setting.place.name, info=info)
    return Finetuned(order.group, order.form["learner"], skipped=False, info=info)


def _setting(workspace: Workspace, order: Order, circumstances: Circumstances) -> tuple[Setting, pd.DataFrame]:
    """The group's training and validation images, weighted for this group; and the rows of the latter."""
    index = read_index(workspace.prepare.index)
    index = index[index["group"] == order.group]
    train, validation = (index[index["split"] == split] for split in (Split.TRAIN, Split.VALIDATION))
    weights = group_weights(train["group"], train["label"])
    if validation.empty:
        circumstances.watch.warn(f"{order.group} has no validation images: its unspecialised weights are kept")
    recorded = recorded_precision(workspace.finetune(order.group).checkpoint)
    precision = device.resolve_precision(order.recipe.precision, circumstances.device, recorded)
    place = device.Place(circumstances.device, precision)
    rows = np.array(pd.concat([train, validation])["row"], dtype=np.int64)
    images = Images(open_pixels(workspace.prepare.pixels), rows, place.device)
    parts = part_of(train, weights), part_of(validation, weights)
    return Setting(*parts, images, order.recipe, place, circumstances.watch), validation


def _describe(order: Order, progress: Progress, setting: Setting) -> dict[str, Any]:
    first, best = progress.history[0], progress.history[progress.best_epoch]
    return {
        "learner": order.form["learner"],
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "validation_before": {key: first[key] for key in ("auc", "accuracy", "kappa")},
        "validation_after": {key: best[key] for key in ("auc", "accuracy", "kappa")},
        "seconds": round(sum(row["seconds"] for row in progress.history), 3),
        "precision": setting.place.precision,
    }
