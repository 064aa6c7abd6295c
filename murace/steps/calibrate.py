"""Score every trained learner on validation, designate one for each group, and ask how stable that choice is.

Where there are several groups it also fits what recognises them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace.config import CalibrateConfig, Machine, params
from murace.data.store import IDS, open_pixels, read_frame, read_index, write_frame
from murace.errors import WorkspaceError
from murace.inference.recogniser import GroupModel, load_group_model, save_group_model
from murace.inference.recogniser.fit import chosen_learner
from murace.inference.recogniser.look import fit_recogniser
from murace.metrics.resampling import LEAST_PATIENTS, resamples
from murace.metrics.scores import measure
from murace.metrics.selection import NEAR_TIE, Choice, Grids, choose, stability
from murace.metrics.table import at_level, score_table
from murace.nets.trained import TrainedNet
from murace.nets.weights import load_model
from murace.system import device
from murace.system.files import digest_of, write_json
from murace.system.progress import Reporter
from murace.vocabulary import OVERALL
from murace.workspace import Record, Rerun, StepRun, commit, decide, writing
from murace.workspace.chain import finished_learners, require_pixels, require_step
from murace.workspace.paths import Workspace
from murace.workspace.roster import read_roster

SCORES = ("level", "learner", "group", "metric", "value")
CONSUMED = ("model.safetensors", "predictions.csv")


@dataclass(frozen=True)
class Calibrated:
    """Table 5 and the choice: `scores` as in `scores.csv`, `roster` as in `roster.json`; who recognises groups."""

    skipped: bool
    scores: pd.DataFrame
    roster: dict[str, Any]
    recogniser: GroupModel | None
    notes: tuple[str, ...]


def run(
    workspace: Workspace, config: CalibrateConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter
) -> Calibrated:
    """Choose by `config.metrics` at `config.level` among the learners whose training is complete and current.

    Then fit what recognises the groups, where there are several. An interrupted run starts over: it is short.

    Raises:
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    chosen, remark = device.choose(machine)
    prepared = require_step(workspace, "prepare", ("index.csv",))
    trained, notes = finished_learners(workspace, CONSUMED)
    index = read_index(workspace.prepare.index)
    folder, is_several = workspace.calibrate, index["group"].nunique() > 1
    with writing(folder.folder):
        consumed = _consumed(prepared, trained, looks=is_several)
        step_run = StepRun(folder=folder.folder, step="calibrate", params=params(config), consumed=consumed)
        plan = decide(step_run, rerun)
        if not plan.skips:
            if is_several:
                require_pixels(workspace)
            plan.begin(reporter)
            info, parts = _choose(workspace, config, list(trained), index, reporter)
            written, place = ["scores.csv", "roster.json"], device.Place(torch.device("cpu"), "fp32")
            if is_several:
                if remark:
                    reporter.say(remark)
                device.set_threads(machine)
                record = trained[chosen_learner(list(trained))]
                place = device.Place(chosen, record.info["precision"])
                member = _reader(workspace, record, place, fit=str(prepared.params["fit"]))
                _fit_recogniser(workspace, member, index, config, reporter)
                written.append(folder.recogniser.name)
            else:
                folder.recogniser.unlink(missing_ok=True)
            commit(folder.folder, written, device=place.name, info=info, parts=parts)
        scores, roster = read_frame(folder.scores, needs=SCORES), read_roster(folder.roster)
        recogniser = load_group_model(folder.recogniser) if is_several else None
    return Calibrated(plan.skips, scores, roster, recogniser, notes)


def _consumed(prepared: Record, trained: Mapping[str, Record], *, looks: bool) -> dict[str, str]:
    """File in the workspace -> SHA-256; the pictures where they are looked at."""
    parents = {"prepare": (prepared, ("index.csv", "pixels.npy") if looks else ("index.csv",))}
    parents |= {f"train/{learner}": (record, CONSUMED) for learner, record in trained.items()}
    return {
        f"{folder}/{name}": record.produced[name]["sha256"]
        for folder, (record, names) in parents.items()
        for name in names
    }


def _choose(
    workspace: Workspace, config: CalibrateConfig, learners: list[str], index: pd.DataFrame, reporter: Reporter
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write the scores and the roster; what the record says of them, and what members may consume of the roster."""
    images = _validation(workspace, learners)
    groups = sorted(set(index["group"]))
    scores = score_table(images, learners, groups).rename(columns={"model": "learner"})
    choices = choose(scores[scores["level"] == str(config.level)], config.metrics)
    shares = _stabilities(images, config, groups, sorted(learners), reporter)
    roster = {
        "metrics": [str(name) for name in config.metrics],
        "level": str(config.level),
        "resamples": config.bootstrap.resamples,
        "groups": {group: _entry(choice, shares[group]) for group, choice in choices.items()},
    }
    write_frame(workspace.calibrate.scores, scores)
    write_json(workspace.calibrate.roster, roster)
    overall = scores[(scores["group"] == OVERALL) & (scores["level"] == str(config.level))]
    info = {"learners": learners, "ties": sum(choice.tie for choice in choices.values()), "rows": len(overall)}
    return info, {f"roster.json:{group}": digest_of(choice.learner) for group, choice in choices.items()}


def _reader(workspace: Workspace, record: Record, place: device.Place, *, fit: str) -> TrainedNet:
    """A trained learner as it will see new pictures."""
    learner = str(record.params["learner"])
    path = workspace.train(learner).model
    return TrainedNet(
        learner=learner,
        load=partial(load_model, path),
        sha256=record.produced[path.name]["sha256"],
        place=place,
        size=int(record.info["size"]),
        fit=fit,
        head=str(record.params["head"]),
    )


def _fit_recogniser(
    workspace: Workspace, member: TrainedNet, index: pd.DataFrame, config: CalibrateConfig, reporter: Reporter
) -> None:
    """Look at prepared pictures and write the group model."""
    pixels = open_pixels(workspace.prepare.pixels)
    model = fit_recogniser(member, pixels, index, seed=config.bootstrap.seed, reporter=reporter)
    save_group_model(workspace.calibrate.recogniser, model)


def _entry(choice: Choice, shares: Mapping[str, float]) -> dict[str, Any]:
    return {
        "learner": choice.learner,
        "votes": dict(choice.votes),
        "shared": list(choice.shared),
        "tie": choice.tie,
        "stability": dict(shares),
        "near_tie": bool(shares) and shares[choice.learner] < NEAR_TIE,
    }


def _stabilities(
    images: pd.DataFrame, config: CalibrateConfig, groups: Sequence[str], learners: Sequence[str], reporter: Reporter
) -> dict[str, dict[str, float]]:
    """How often each learner would be designated, had other validation patients come: group -> learner -> share.

    One resample of all validation patients serves every group. Nothing is known of a group with a single patient.
    """
    frame = at_level(images, learners, config.level, ("patient", "group", "label"))
    labels, chances = frame["label"].to_numpy(dtype=np.int64), frame[list(learners)].to_numpy(dtype=np.float64)
    parts = {group: (frame["group"] == group).to_numpy() for group in groups}
    parts[OVERALL] = np.ones(len(frame), dtype=bool)
    drawn: dict[str, list[Grids]] = {group: [] for group in parts}
    with reporter.bar("resamples", config.bootstrap.resamples) as bar:
        for weights in resamples(frame["patient"], config.bootstrap):
            reporter.check()
            for group, rows in parts.items():
                found = measure(labels[rows], chances[rows], weights[:, rows])
                drawn[group].append(np.stack([found[name] for name in config.metrics], axis=2))
            bar.advance(len(weights))
    grids = {group: np.concatenate(found) for group, found in drawn.items() if found}
    sampled = frame.groupby("group")["patient"].nunique()
    return {
        group: stability(grids[group], grids[OVERALL], learners) if sampled.get(group, 0) >= LEAST_PATIENTS else {}
        for group in groups
    }


def _validation(workspace: Workspace, learners: list[str]) -> pd.DataFrame:
    """The validation images with a probability column per learner."""
    frames = [read_frame(workspace.train(learner).predictions, needs=(*IDS, learner)) for learner in learners]
    images = frames[0]
    for learner, frame in zip(learners[1:], frames[1:], strict=True):
        if not frame["row"].equals(images["row"]):
            raise WorkspaceError(f"train/{learner} was scored on other images. Run: murace train --arch {learner}")
        images = images.assign(**{learner: frame[learner]})
    return images
