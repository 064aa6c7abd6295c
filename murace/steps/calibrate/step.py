"""Score every trained learner on validation, designate one for each group, and measure how stable that choice is.

Where there are several groups the group recogniser is fitted, too.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from murace.config import CalibrateConfig, Machine
from murace.data.store import IDS, open_pixels, read_frame, write_frame
from murace.errors import WorkspaceError
from murace.inference.recogniser.file import save_group_model
from murace.inference.recogniser.fit import chosen_learner
from murace.inference.recogniser.look import fit_recogniser
from murace.metrics.resampling import LEAST_PATIENTS, resamples
from murace.metrics.scores import measure
from murace.metrics.selection import NEAR_TIE, Choice, ScoreArray, choose, stability
from murace.metrics.table import at_level, score_table
from murace.nets.trained import TrainedNet
from murace.nets.weights import load_model
from murace.steps.calibrate.inputs import Calibrated, read_result, require_inputs
from murace.system import device
from murace.system.files import digest_of, write_json
from murace.system.progress import Reporter
from murace.vocabulary import OVERALL
from murace.workspace import Record, Rerun, commit, decide, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import MODEL, RECOGNISER, ROSTER, SCORES, Workspace


def run(
    workspace: Workspace, config: CalibrateConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter
) -> Calibrated:
    """Choose by `config.metrics` at `config.level` among the learners whose training is complete and current.

    Then fit the group recogniser, where there are several groups. An interrupted run starts over: it is short.

    Raises:
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    chosen, remark = device.choose(machine)
    inputs, folder = require_inputs(workspace), workspace.calibrate
    with writing(folder.folder):
        plan = decide(inputs.step_run(workspace, config), rerun)
        if not plan.skips:
            if inputs.has_groups:
                require_pixels(workspace)
            plan.begin(reporter)
            info, parts = _choose(workspace, config, list(inputs.learners), inputs.index, reporter)
            written, place = [SCORES, ROSTER], device.Place(torch.device("cpu"), "fp32")
            if inputs.has_groups:
                if remark:
                    remark.tell(reporter)
                device.set_threads(machine)
                record = inputs.learners[chosen_learner(list(inputs.learners))]
                place = device.reading_place(chosen, record.info["precision"], reporter)
                net = _trained_net(workspace, record, place, fit=str(inputs.prepared.params["fit"]))
                _fit_recogniser(workspace, net, inputs.index, config, reporter)
                written.append(RECOGNISER)
            else:
                folder.recogniser.unlink(missing_ok=True)
            commit(folder.folder, written, device=place.name, info=info, parts=parts)
        return read_result(workspace, inputs, skipped=plan.skips)


def _choose(
    workspace: Workspace, config: CalibrateConfig, learners: list[str], index: pd.DataFrame, reporter: Reporter
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write the scores and the roster; returns the record's `info` and `parts`: members consume one entry each."""
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
    return info, {f"{ROSTER}:{group}": digest_of(choice.learner) for group, choice in choices.items()}


def _trained_net(workspace: Workspace, record: Record, place: device.Place, *, fit: str) -> TrainedNet:
    """The learner of a record of `train`, as new pictures are given to it."""
    learner = str(record.params["learner"])
    return TrainedNet(
        learner=learner,
        load=partial(load_model, workspace.train(learner).model),
        sha256=record.produced[MODEL]["sha256"],
        place=place,
        size=int(record.info["size"]),
        fit=fit,
        head=str(record.params["head"]),
    )


def _fit_recogniser(
    workspace: Workspace, net: TrainedNet, index: pd.DataFrame, config: CalibrateConfig, reporter: Reporter
) -> None:
    """Fit the group recogniser to the features of prepared pictures, and write it."""
    pixels = open_pixels(workspace.prepare.pixels)
    model = fit_recogniser(net, pixels, index, seed=config.bootstrap.seed, reporter=reporter)
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
    drawn: dict[str, list[ScoreArray]] = {group: [] for group in parts}
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
