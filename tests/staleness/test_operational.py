"""What makes a step stale and what never does: every setting of every step stands on one of two lists."""

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from murace import config
from murace.config import (
    Bootstrap,
    CalibrateConfig,
    EvaluateConfig,
    FinetuneConfig,
    Machine,
    PredictConfig,
    PrepareConfig,
    Recipe,
    SampleConfig,
    TrainConfig,
    params,
)
from murace.steps.prepare import Operation
from murace.workspace import Rerun

RECIPE = {"epochs", "lr", "batch_size", "patience", "monitor", "precision", "seed"}
BOOTSTRAP = {"resamples", "seed"}
# Part of the key: another value runs the step again. A name in brackets is kept through what it contains.
SEMANTIC: dict[type, set[str]] = {
    PrepareConfig: {"size", "fit", "seed", "leaks", "follow_links"},
    Recipe: RECIPE,
    TrainConfig: {"learner", "width", "head", "(recipe)"},
    FinetuneConfig: {"(recipe)", "(batch_size)"},
    Bootstrap: BOOTSTRAP,
    CalibrateConfig: {"metrics", "level", "(bootstrap)"},
    EvaluateConfig: {"slice", "(bootstrap)"},
    PredictConfig: {"operating_point", "group", "each_file", "show_ids"},
}
# Never part of it: where and how a step runs, and what is asked of this run alone.
OPERATIONAL: dict[type, set[str]] = {
    Machine: {"gpu", "threads", "compile", "graph", "side_by_side"},
    Operation: {"jobs", "accept_rejects", "preview"},
    Rerun: {"resume", "force"},
}
UNRECORDED: dict[type, set[str]] = {SampleConfig: {"studies", "seed"}}  # `sample` keeps no record
OTHER: dict[str, Any] = {
    "size": 64, "fit": "pad", "seed": 7, "epochs": 3, "lr": 0.5, "batch_size": 8, "patience": 2, "monitor": "kappa",
    "precision": "bf16", "learner": "resnet", "width": 0.5, "head": "fc", "resamples": 100, "metrics": ("recall",),
    "level": "image", "slice": ("site",), "operating_point": "youden", "group": "elbow", "show_ids": True,
    "leaks": "drop-test", "follow_links": True, "each_file": True,
}  # fmt: skip
WHOLE = (
    PrepareConfig(),
    TrainConfig(learner="convnet"),
    CalibrateConfig(),
    EvaluateConfig(),
    PredictConfig(),
    Recipe(),
)


def names_of(kind: type) -> set[str]:
    return {item.name for item in fields(kind)}


def test_every_setting_is_on_a_list() -> None:
    """An option that is added must be thought about: does another value give another result?"""
    known = {**SEMANTIC, **OPERATIONAL, **UNRECORDED}
    ours = {kind for _, kind in inspect.getmembers(config, is_dataclass) if kind.__module__ == config.__name__}
    assert ours | {Operation, Rerun} == set(known)
    for kind, names in known.items():
        assert names_of(kind) == {name.strip("()") for name in names}, kind.__name__


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: type(whole).__name__)
def test_another_value_of_a_semantic_setting_is_another_key(whole: Any) -> None:
    for holder in (whole, *(getattr(whole, item.name) for item in fields(whole))):
        for name in SEMANTIC.get(type(holder), set()):
            if name.startswith("("):
                continue
            changed = replace(holder, **{name: OTHER[name]})
            if holder is not whole:
                part = next(item.name for item in fields(whole) if getattr(whole, item.name) is holder)
                changed = replace(whole, **{part: changed})
            assert params(changed) != params(whole), name


@pytest.mark.parametrize("whole", WHOLE, ids=lambda whole: type(whole).__name__)
def test_the_key_holds_every_setting_once_and_none_that_is_operational(whole: Any) -> None:
    def leaves(values: Any) -> list[str]:
        inner = [getattr(values, item.name) for item in fields(values)]
        names = [item.name for item, value in zip(fields(values), inner, strict=True) if not is_dataclass(value)]
        return names + [name for value in inner if is_dataclass(value) for name in leaves(value)]

    kept = leaves(whole)
    added = {name for name in kept if name in config.ADDED}  # at these values no record has them
    assert sorted([*params(whole), *added]) == sorted(kept), "two settings of one name would hide each other"
    assert not set(kept) & {name for names in OPERATIONAL.values() for name in names}


def test_a_members_key_has_the_batch_size_that_was_resolved() -> None:
    asked = FinetuneConfig(batch_size=None)
    assert params(asked.recipe_for("densenet"))["batch_size"] == 16
    assert params(asked.recipe_for("resnet"))["batch_size"] == 32
    assert params(replace(asked, batch_size=8).recipe_for("resnet"))["batch_size"] == 8


def parameters_of(step: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(step.run).parameters


def test_steps_take_settings_only_in_these_forms() -> None:
    """A bare argument of a step would be neither on the lists above nor in its record."""
    from murace.steps import predict, prepare
    from murace.steps.calibrate import step as calibrate
    from murace.steps.evaluate import step as evaluate
    from murace.steps.finetune import step as finetune
    from murace.steps.train import step as train

    known = {"workspace", "config", "machine", "rerun", "reporter"}
    more = {prepare: {"source", "operation"}, finetune: {"groups"}, predict: {"source", "paths", "out"}}
    for step in (prepare, train, calibrate, finetune, evaluate, predict):
        wanted = (known | more.get(step, set())) - ({"machine"} if step is prepare else set())
        wanted -= {"workspace"} if step is predict else set()
        assert set(parameters_of(step)) == wanted, step.__name__
