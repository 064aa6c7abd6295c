"""Score every trained learner on validation, designate one for each group, and ask how stable that choice is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from murace.chain import finished_learners
from murace.config import CalibrateConfig, params
from murace.data.store import read_frame, read_index, write_frame
from murace.errors import WorkspaceError
from murace.files import digest_of, read_json, write_json
from murace.metrics.resampling import LEAST_PATIENTS, resamples
from murace.metrics.scores import measure
from murace.metrics.table import at_level, score_table
from murace.record import Action, Wish, commit, require, take_up, writing
from murace.selection import NEAR_TIE, Choice, Grids, choose, stability
from murace.vocabulary import OVERALL
from murace.watch import Watch
from murace.workspace import Workspace

CONSUMED = ("model.safetensors", "predictions.csv")


@dataclass(frozen=True)
class Calibrated:
    """Table 5 and the choice: `scores` as in `scores.csv`, `roster` as in `roster.json`."""

    skipped: bool
    scores: pd.DataFrame
    roster: dict[str, Any]
    notes: tuple[str, ...]


def run(workspace: Workspace, config: CalibrateConfig, *, wish: Wish, watch: Watch) -> Calibrated:
    """Choose by `config.metrics` at `config.level` among the learners whose training is complete and current.

    Raises:
        WorkspaceError: no learner is trained, or one is stale or damaged.
    """
    prepared = require(workspace.prepare.folder, "murace prepare SOURCE", ("index.csv",))
    trained, notes = finished_learners(workspace, CONSUMED)
    folder = workspace.calibrate
    with writing(folder.folder):
        consumed = {"prepare/index.csv": prepared.digests("prepare")["prepare/index.csv"]}
        for learner, record in trained.items():
            digests = record.digests(f"train/{learner}")
            consumed |= {f"train/{learner}/{name}": digests[f"train/{learner}/{name}"] for name in CONSUMED}
        plan = take_up(folder.folder, "calibrate", params(config), consumed, wish=wish, watch=watch)
        if plan.action is not Action.SKIP:
            _choose(workspace, config, list(trained), watch)
        scores, roster = read_frame(folder.scores), read_json(folder.roster)
    return Calibrated(plan.action is Action.SKIP, scores, roster, notes)


def _choose(workspace: Workspace, config: CalibrateConfig, learners: list[str], watch: Watch) -> None:
    """Write the scores and the roster."""
    images = _validation(workspace, learners)
    groups = sorted(set(read_index(workspace.prepare.index)["group"]))
    scores = score_table(images, learners, groups).rename(columns={"model": "learner"})
    choices = choose(scores[scores["level"] == str(config.level)], config.metrics)
    shares = _stabilities(images, config, groups, sorted(learners), watch)
    roster = {
        "metrics": [str(name) for name in config.metrics],
        "level": str(config.level),
        "resamples": config.bootstrap.resamples,
        "groups": {group: _entry(choice, shares[group]) for group, choice in choices.items()},
    }
    folder = workspace.calibrate
    write_frame(folder.scores, scores)
    write_json(folder.roster, roster)
    parts = {f"roster.json:{group}": digest_of(choice.learner) for group, choice in choices.items()}
    overall = scores[(scores["group"] == OVERALL) & (scores["level"] == str(config.level))]
    info = {"learners": learners, "ties": sum(choice.tie for choice in choices.values()), "rows": len(overall)}
    commit(folder.folder, ["scores.csv", "roster.json"], info=info, parts=parts)


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
    images: pd.DataFrame, config: CalibrateConfig, groups: Sequence[str], learners: Sequence[str], watch: Watch
) -> dict[str, dict[str, float]]:
    """How often each learner would be designated, had other validation patients come: group -> learner -> share.

    One resample of all validation patients serves every group. Nothing is known of a group with a single patient.
    """
    frame = at_level(images, learners, config.level, ("patient", "group", "label"))
    labels, chances = frame["label"].to_numpy(dtype=np.int64), frame[list(learners)].to_numpy(dtype=np.float64)
    parts = {group: (frame["group"] == group).to_numpy() for group in groups}
    parts[OVERALL] = np.ones(len(frame), dtype=bool)
    drawn: dict[str, list[Grids]] = {group: [] for group in parts}
    with watch.bar("resamples", config.bootstrap.resamples) as bar:
        for weights in resamples(frame["patient"], config.bootstrap):
            watch.check()
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
    frames = [read_frame(workspace.train(learner).predictions) for learner in learners]
    images = frames[0]
    for learner, frame in zip(learners[1:], frames[1:], strict=True):
        if not frame["row"].equals(images["row"]):
            raise WorkspaceError(f"train/{learner} was scored on other images. Run: murace train --arch {learner}")
        images = images.assign(**{learner: frame[learner]})
    return images
