"""(i) Commands typed again when nothing has changed (W2): on 40,000 files, with weights of the paper's size."""

import statistics
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from murace.config import Bootstrap, CalibrateConfig, EvaluateConfig, FinetuneConfig, Recipe, TrainConfig, params
from murace.data.store import read_index, write_frame
from murace.inference.combine import models_of
from murace.metrics.analysis import analyse
from murace.metrics.table import score_table
from murace.steps.calibrate import inputs as calibrate
from murace.steps.evaluate import inputs as evaluate
from murace.steps.finetune import inputs as finetune
from murace.system.files import write_bytes, write_json, write_text
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS, Split
from murace.workspace import EPOCHS, StepRun, begin, commit, require
from murace.workspace.paths import HISTORY, MODEL, PREDICTIONS, ROSTER, SCORES, Workspace
from tests.benchmarks.lines import Line
from tests.benchmarks.prepare import again, murace, tiny

BAR = 2.0  # seconds
MEMBERS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
WEIGHTS = 75 * 2**20  # bytes: the mean of the three learners'
RESULT = {"best_score": None, "best_epoch": 1, "epochs": 1}


def measure(*, quick: bool = False) -> list[Line]:
    """`prepare` as its own part measures it, with a harder bar; then other steps with nothing to do, and the status."""
    lines = [replace(line, part="rerun", theirs=BAR, ratio=BAR / line.ours) for line in again(quick=quick)]
    size, count, weights = (32, 400, 2**20) if quick else (256, 40_000, WEIGHTS)
    with tempfile.TemporaryDirectory() as place:
        listed, work = tiny(Path(place) / "source", count), Path(place) / "work"
        murace(["prepare", str(listed), "-w", str(work), "--size", str(size)])
        _fabricate(Workspace(work), weights)
        total = sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / 1e6
        told = f"a workspace of {total:,.0f} MB from {count:,} files"
        commands = {
            "train again, nothing changed": ["train", "--arch", "resnet", "--gpu", "cpu"],
            "calibrate again, nothing changed": ["calibrate", "--gpu", "cpu"],
            "finetune again, nothing changed": ["finetune", "--gpu", "cpu"],
            "evaluate again, nothing changed": ["evaluate", "--gpu", "cpu"],
            "status": ["status"],
        }
        rounds = 1 if quick else 5
        for what, words in commands.items():
            lines.append(_line(what, [*words, "--json", "-w", str(work)], told, rounds))
    return lines


def _line(what: str, words: list[str], told: str, rounds: int) -> Line:
    murace(words)
    median = statistics.median([murace(words) for _ in range(rounds)])
    return Line("rerun", f"{what}, {told}", "s", median, BAR, BAR / median, 1.0, note="with start-up, cache warm")


def _fabricate(workspace: Workspace, weights: int) -> None:
    """Learners, members and scores of nets that nobody has trained, with true records."""
    prepared = require(workspace.prepare.folder, "murace prepare SOURCE").digests("prepare")
    data = {name: prepared[f"prepare/{name}"] for name in ("index.csv", "pixels.npy")}
    consumed = {f"prepare/{name}": digest for name, digest in data.items()}
    for name in LEARNERS:
        batch = TrainConfig(learner=name, recipe=Recipe(batch_size=16 if name == "densenet" else 32))
        _step(workspace, f"train/{name}", params(batch), consumed, weights)
    index = read_index(workspace.prepare.index)
    test = index[index["split"] == Split.TEST]
    test = test.assign(group=[MEMBERS[row % len(MEMBERS)] for row in test["row"]])
    _choice(workspace, test)
    for run in finetune.planned(workspace, FinetuneConfig(), ()):
        _step(workspace, run.step, run.params, run.consumed, weights)
    _evaluation(workspace, test)


def _choice(workspace: Workspace, images: pd.DataFrame) -> None:
    run = calibrate.require_inputs(workspace).step_run(workspace, CalibrateConfig())
    _begin(run)
    scores = score_table(_guessed(images, LEARNERS), LEARNERS, MEMBERS).rename(columns={"model": "learner"})
    write_frame(workspace.calibrate.scores, scores)
    votes = dict.fromkeys(LEARNERS, 1)
    entry = {"learner": "resnet", "votes": votes, "shared": [], "tie": True, "stability": votes, "near_tie": False}
    roster = {"metrics": ["auc"], "level": "study", "resamples": 2000, "groups": dict.fromkeys(MEMBERS, entry)}
    write_json(workspace.calibrate.roster, roster)
    entries = {f"{ROSTER}:{group}": "0" * 64 for group in MEMBERS}
    commit(run.folder, [SCORES, ROSTER], info={"learners": list(LEARNERS)}, parts=entries)


def _evaluation(workspace: Workspace, images: pd.DataFrame) -> None:
    run, models = evaluate.require_inputs(workspace).step_run(workspace, EvaluateConfig()), models_of(LEARNERS)
    _begin(run)
    few = Bootstrap(resamples=100)
    images = _guessed(images, models)
    found = analyse(images, models, groups=MEMBERS, slices=(), calibrated={}, bootstrap=few, reporter=Reporter())
    tables = {item.name: getattr(found, item.name) for item in fields(found)} | {"operating": images, "flow": images}
    for name, table in tables.items():
        write_frame(workspace.evaluate.table(name), table)
    commit(run.folder, [f"{name}.csv" for name in tables], info={"models": models})


def _guessed(images: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """The images with a random probability of each model."""
    return images.assign(**dict(zip(models, np.random.default_rng(0).random((len(models), len(images))), strict=True)))


def _begin(run: StepRun) -> None:
    run.folder.mkdir(parents=True)
    begin(run.folder, run.step, run.params, run.consumed)


def _step(workspace: Workspace, name: str, settings: dict[str, Any], consumed: dict[str, str], size: int) -> None:
    folder = workspace.root / name
    folder.mkdir(parents=True)
    begin(folder, name, settings, consumed)
    write_bytes(folder / MODEL, name.encode().ljust(size, b"\0"))
    write_text(folder / HISTORY, "epoch\n")
    write_text(folder / PREDICTIONS, "row\n")
    commit(folder, [MODEL, HISTORY, PREDICTIONS], info={"size": 256, **RESULT}, parts={EPOCHS: "0" * 64})
