"""Specialise each group's designated learner on that group's training images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from murace.config import FinetuneConfig, Machine, Recipe, params
from murace.errors import UsageError
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training.job import (
    FILES,
    Circumstances,
    Done,
    Task,
    follow,
    lead,
    require_equal_shares,
    require_possible,
    require_same_run,
)
from murace.vocabulary import closest
from murace.workspace import Rerun, StepRun, commit, decide, read, writing
from murace.workspace.chain import consumed_images, require_choice, require_pixels, require_step
from murace.workspace.paths import Workspace
from murace.workspace.roster import read_roster

FORM = ("learner", "width", "head", "size")


@dataclass(frozen=True)
class Finetuned:
    """What happened for one group; `info` is what its record says about the result."""

    group: str
    learner: str
    skipped: bool
    info: dict[str, Any]


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
    rerun: Rerun,
    reporter: Reporter,
) -> list[Finetuned]:
    """Fine-tune a member for each of `groups` (all where empty); finished ones are skipped.

    Of several processes the leading one decides and writes, and tells the others.

    Raises:
        UsageError: a group that the roster does not know.
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    processes = process_group()
    chosen, remark = device.choose(machine)
    circumstances = Circumstances(machine, chosen, reporter)
    if not processes.leads:
        return [Finetuned(**done) for done in follow(workspace, circumstances)]
    require_choice(workspace)
    entries = read_roster(workspace.calibrate.roster)["groups"]
    for group in groups:
        if group not in entries:
            raise UsageError(f"--groups: unknown group '{group}'{closest(group, entries)}")
    learners = {group: entries[group]["learner"] for group in groups or sorted(entries)}
    orders = _orders(workspace, config, learners)
    for order in orders:
        require_equal_shares(order.recipe)
    if remark:
        reporter.say(remark)
    finetuned = [_finetune(workspace, order, circumstances, rerun) for order in orders]
    processes.broadcast({"done": [asdict(done) for done in finetuned]})
    return finetuned


def _orders(workspace: Workspace, config: FinetuneConfig, learners: Mapping[str, str]) -> list[Order]:
    """A job per group, each parent checked once."""
    prepared = require_step(workspace, "prepare", ("index.csv",))
    roster = require_step(workspace, "calibrate", ("roster.json",)).digests("calibrate")
    trained = {
        learner: require_step(workspace, f"train/{learner}", ("model.safetensors",))
        for learner in sorted(set(learners.values()))
    }
    orders = []
    for group, learner in learners.items():
        name = f"train/{learner}/model.safetensors"
        consumed = consumed_images(prepared)
        consumed |= {name: trained[learner].digests(f"train/{learner}")[name]}
        consumed |= {f"calibrate/roster.json:{group}": roster[f"calibrate/roster.json:{group}"]}
        form = {key: trained[learner].params[key] for key in FORM if key != "size"}
        form["size"] = int(trained[learner].info["size"])
        orders.append(Order(group, config.recipe_for(learner), form, consumed))
    return orders


def _finetune(workspace: Workspace, order: Order, circumstances: Circumstances, rerun: Rerun) -> Finetuned:
    """One member: skip, resume or run, in the order that `murace.workspace.decide` tells."""
    folder = workspace.finetune(order.group)
    step_run = StepRun(
        folder=folder.folder,
        step=f"finetune/{order.group}",
        params=order.params,
        consumed=order.consumed,
        states=folder.checkpoint,
    )
    with writing(folder.folder):
        plan = decide(step_run, rerun)
        if not plan.skips:
            task = Task(order.recipe, order.form, order.consumed, order.group, resumes=plan.resumes)
            require_same_run(task, workspace)
            require_pixels(workspace)
            require_possible(task, workspace, circumstances)
            plan.begin(circumstances.reporter)
            done = lead(task, workspace, circumstances)
            info = _describe(order, done)
            commit(folder.folder, FILES, device=done.setting.place.name, info=info, parts=done.parts)
        record = read(folder.folder)
        assert record is not None
    return Finetuned(order.group, order.form["learner"], skipped=plan.skips, info=record.info)


def _describe(order: Order, done: Done) -> dict[str, Any]:
    history, progress = done.fitted.progress.history, done.fitted.progress
    first, best = history[0], history[progress.best_epoch]
    return {
        "learner": order.form["learner"],
        **done.facts,
        "validation_before": {key: first[key] for key in ("auc", "accuracy", "kappa")},
        "validation_after": {key: best[key] for key in ("auc", "accuracy", "kappa")},
    }
