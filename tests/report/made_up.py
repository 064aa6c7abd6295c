"""Contents with made-up numbers: plausible at a glance, measured on nothing."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from murace.report.contents import Contents, Picture
from murace.vocabulary import MEASURES
from tests.report import made_up_analysis

REGIONS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
LEARNERS = ("convnet", "resnet", "densenet")
METRICS = ("auc", "accuracy", "precision", "recall", "kappa")
BASE = {"auc": 0.87, "accuracy": 0.81, "precision": 0.84, "recall": 0.74, "kappa": 0.62, "specificity": 0.85,
        "npv": 0.78, "f1": 0.79, "mcc": 0.63, "average_precision": 0.88, "brier": 0.12, "ece": 0.07}  # fmt: skip
GAIN = {"convnet": 0, "resnet": 0.03, "densenet": 0.025, "resnet+densenet": 0.04, "calibrated": 0.045}
SIZES = {"convnet": 18_894_578, "resnet": 21_170_050, "densenet": 12_639_938}


def contents(groups: Sequence[str] = REGIONS, learners: Sequence[str] = LEARNERS, *, maps: int = 2) -> Contents:
    """A whole report's worth."""
    rng = np.random.default_rng(0)
    both = ["resnet+densenet"] if {"resnet", "densenet"} <= set(learners) else []
    models = [*learners, *both, "calibrated"]
    return Contents(
        counts=counts(groups, rng),
        learners=training(learners),
        validation=_scores(rng, "learner", learners, groups),
        roster=roster(groups, learners),
        scores=scores(rng, models, groups),
        roc=pd.concat([curve(rng, model) for model in models], ignore_index=True),
        histories={f"train/{name}": history(rng, 24) for name in learners}
        | {f"finetune/{group}": history(rng, 8, first=0) for group in groups},
        maps=[Picture(caption=f"p = 0.9{place}, abnormal, {groups[0]}, resnet", png=png()) for place in range(maps)],
        settings={"prepare": {"size": 256, "fit": "squash", "seed": 0}, "train resnet": {"lr": 0.001, "epochs": 100}},
        notes=["Made-up numbers: nothing on this page was measured."],
        facts={"murace": "0.1.0", "torch": "2.15.0", "seed": 0, "ended": "2001-02-03 04:05 UTC"},
        studies=dict.fromkeys(groups, 170) | {"overall": 170 * len(groups)},
        best_epochs={f"finetune/{group}": 3 for group in groups},
    )


def whole(groups: Sequence[str] = REGIONS, learners: Sequence[str] = LEARNERS) -> Contents:
    """The same with everything that an evaluation adds: twelve measures, intervals, tests, slices, pictures."""
    plain = contents(groups, learners)
    rng = np.random.default_rng(1)
    models = list(dict.fromkeys(plain.scores["model"]))
    measured = made_up_analysis.bounded(rng, scores(rng, models, groups, MEASURES))
    return dataclasses.replace(
        plain,
        scores=measured,
        roster=stable(plain.roster, learners),
        studies={**plain.studies, groups[-1]: made_up_analysis.SMALL[0]} if len(groups) > 1 else plain.studies,
        flow=made_up_analysis.flow(plain.counts),
        intervals=made_up_analysis.intervals(measured),
        **made_up_analysis.analysis(rng, models, groups),
    )


def stable(roster: Mapping[str, Any], learners: Sequence[str]) -> dict[str, Any]:
    """The roster with shares of resamples: the designated learner has 58% (a near-tie) in the last group, else 81%."""
    groups = {}
    for place, (group, choice) in enumerate(roster["groups"].items()):
        near = place == len(roster["groups"]) - 1
        mine, others = (0.58, 0.42) if near else (0.81, 0.19)
        shares = dict.fromkeys(learners, others / max(1, len(learners) - 1)) | {choice["learner"]: mine}
        groups[group] = {**choice, "stability": shares, "near_tie": near}
    return {**roster, "groups": groups, "resamples": made_up_analysis.RESAMPLES}


def counts(groups: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """Table 1."""
    names = [f"{split}_{side}" for split in ("train", "validation", "test") for side in ("positive", "negative")]
    numbers = rng.integers(50, 3000, size=(len(groups), len(names)))
    frame = pd.DataFrame(np.vstack([numbers, numbers.sum(axis=0)]), columns=names)
    frame.insert(0, "group", [*groups, "overall"])
    return frame


def training(learners: Sequence[str]) -> pd.DataFrame:
    """Table 2."""
    rows = [
        {"learner": name, "parameters": SIZES[name], "trainable": SIZES[name] - 40_000, "batch_size": 32, "epochs": 24,
         "best_epoch": 17, "hours": 1.7, "images_per_second": 812.0, "precision": "bf16", "device": "cpu"}
        for name in learners
    ]  # fmt: skip
    return pd.DataFrame(rows)


def roster(groups: Sequence[str], learners: Sequence[str]) -> dict[str, object]:
    """Votes 3 to 0 for the last learner, except for a tie in the first group."""
    votes = dict.fromkeys(learners, 0) | {learners[-1]: 3}
    chosen = {group: {"learner": learners[-1], "votes": votes, "tie": False} for group in groups}
    chosen[groups[0]] = {"learner": learners[0], "votes": dict.fromkeys(learners, 1), "tie": True}
    return {"metrics": ["auc", "accuracy", "kappa"], "level": "study", "groups": chosen}


def _scores(
    rng: np.random.Generator,
    column: str,
    models: Sequence[str],
    groups: Sequence[str],
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    rows = [
        {
            "level": level,
            column: model,
            "group": group,
            "metric": metric,
            "value": BASE[metric] + float(rng.normal(GAIN[model], 0.02)),
        }
        for level in ("study", "image")
        for model in models
        for group in ("overall", *groups)
        for metric in metrics
    ]
    return pd.DataFrame(rows)


def scores(
    rng: np.random.Generator, models: Sequence[str], groups: Sequence[str], metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Table 3, without intervals."""
    frame = _scores(rng, "model", models, groups, metrics)
    keys = ["level", "group", "metric"]
    baseline = frame[frame["model"] == models[0]].set_index(keys)["value"]
    reference = baseline.reindex(pd.MultiIndex.from_frame(frame[keys])).to_numpy()
    change = (frame["value"] - reference) / reference if models[0] == "convnet" else np.nan
    return frame.assign(low=np.nan, high=np.nan, change=change)


def curve(rng: np.random.Generator, model: str, steps: int = 60) -> pd.DataFrame:
    """An ROC curve that rises from (0, 0) to (1, 1)."""
    fpr = np.linspace(0, 1, steps) ** 2
    tpr = 1 - (1 - fpr ** rng.uniform(0.3, 0.4)) ** 1.6
    threshold = np.concatenate([[np.inf], 1 / (1 + np.exp(np.linspace(-4, 6, steps - 1)))])
    return pd.DataFrame({"level": "study", "model": model, "fpr": fpr, "tpr": tpr, "threshold": threshold})


def history(rng: np.random.Generator, epochs: int, first: int = 1) -> pd.DataFrame:
    """Falling losses, rising scores."""
    epoch = np.arange(first, first + epochs)
    progress = 1 - np.exp(-(epoch - first + 1) / 6)
    noise = rng.normal(0, 0.015, size=(4, epochs))
    return pd.DataFrame({
        "epoch": epoch,
        "train_loss": 0.34 - 0.22 * progress + noise[0] / 4,
        "validation_loss": 0.35 - 0.14 * progress + noise[1] / 2,
        "auc": 0.55 + 0.37 * progress + noise[2],
        "accuracy": 0.55 + 0.3 * progress,
        "kappa": 0.1 + 0.6 * progress + noise[3],
        "seconds": 10.0,
        "images_per_second": 800.0,
    })  # fmt: skip


def png(width: int = 6, height: int = 4) -> bytes:
    """A small grey picture."""
    buffer = io.BytesIO()
    Image.new("L", (width, height), 90).save(buffer, format="png")
    return buffer.getvalue()
