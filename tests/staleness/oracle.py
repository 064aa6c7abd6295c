"""What recomputing everything would give: each step run alone, in a fresh workspace, on parents that were made so too.

An answer is remembered by the settings and the digests of what the step truly reads, so that a long run of the machine
asks for few new ones.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from murace.config import (
    Bootstrap,
    CalibrateConfig,
    EvaluateConfig,
    FinetuneConfig,
    Machine,
    PrepareConfig,
    Recipe,
    TrainConfig,
)
from murace.steps import prepare
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import step as evaluate
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system.progress import Reporter
from murace.workspace import Rerun, begin
from murace.workspace.paths import Workspace
from tests.staleness.source import Seen, write_source
from tests.staleness.standins import facts_of, without_clock
from tests.workshop import CPU

Args = Mapping[str, Any]
FACTS = "facts"


@dataclass(frozen=True)
class Made:
    """A step's folder and what it offers: file (or part) -> digest, clocks left out."""

    folder: Path
    offers: dict[str, str]


def recipe_of(args: Args) -> Recipe:
    return Recipe(**{"batch_size": 4, "precision": "fp32", **args})


def train_config(learner: str, args: Args) -> TrainConfig:
    return TrainConfig(learner=learner, width=0.1, recipe=recipe_of(args))


def finetune_config(args: Args) -> FinetuneConfig:
    return FinetuneConfig(recipe=recipe_of(args), batch_size=4)


def calibrate_config(args: Args) -> CalibrateConfig:
    return CalibrateConfig(metrics=args["metrics"], bootstrap=Bootstrap(resamples=100, seed=args["seed"]))


def evaluate_config(args: Args) -> EvaluateConfig:
    return EvaluateConfig(bootstrap=Bootstrap(resamples=args["resamples"]))


def run_step(
    place: str,
    args: Args,
    workspace: Workspace,
    *,
    rerun: Rerun = Rerun(),  # noqa: B008
    reporter: Reporter,
    machine: Machine,
) -> Any:
    """Any step but `prepare`, by its place in the workspace."""
    step, _, name = place.partition("/")
    told: dict[str, Any] = {"machine": machine, "rerun": rerun, "reporter": reporter}
    if step == "train":
        return train.run(workspace, train_config(name, args), **told)
    if step == "calibrate":
        return calibrate.run(workspace, calibrate_config(args), **told)
    if step == "finetune":
        return finetune.run(workspace, finetune_config(args), groups=[name], **told)[0]
    return evaluate.run(workspace, evaluate_config(args), **told)


def tells_the_time(name: str) -> bool:
    """Files in which durations, dates or the source's own times stand, so that no two runs give the same."""
    return name == "sources.csv" or Path(name).name in ("report.html", "MODEL_CARD.md", "table-2.tex", "table-2.csv")


def offers_of(folder: Path) -> dict[str, str]:
    """What a finished folder offers, reckoned from its files."""
    record = folder / "step.json"
    names = [name for name in json.loads(record.read_bytes())["produced"] if not tells_the_time(name)]
    found = {name: sha256(without_clock(folder / name)).hexdigest() for name in names}
    if (folder / "roster.json").is_file():
        groups = json.loads((folder / "roster.json").read_bytes())["groups"]
        found |= {f"roster.json:{group}": entry["learner"] for group, entry in groups.items()}
    return {**found, FACTS: facts_of(record)}


class Oracle:
    """Remembers every answer it has given, in folders under `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, dict[Any, Made]()

    def prepare(self, seen: Seen, args: Args) -> Made:
        def run(workspace: Workspace, place: Path) -> None:
            manifest = write_source(place / "source", seen)
            operation = prepare.Operation(jobs=1, accept_rejects=99)
            prepare.run(
                manifest, workspace, PrepareConfig(**args), operation=operation, rerun=Rerun(), reporter=Reporter()
            )

        return self._once(("prepare", seen, _frozen(args)), "prepare", run)

    def run(self, place: str, args: Args, inputs: Args, parents: Mapping[str, Made]) -> Made:
        """`place` made from `parents`; `inputs` are the digests of what it truly reads of them."""

        def run(workspace: Workspace, _: Path) -> None:
            for name, parent in parents.items():
                copy(parent.folder, workspace.root / name)
                if place == "evaluate" and not any(item.startswith(f"{name}|") for item in inputs):
                    begin(workspace.root / name, name, {"left": "out"}, {})  # compared once, but unfinished now
            run_step(place, args, workspace, reporter=Reporter(), machine=CPU)

        return self._once((place, _frozen(args), _frozen(inputs)), place, run)

    def _once(self, key: Any, place: str, run: Callable[[Workspace, Path], None]) -> Made:
        if key not in self.made:
            where = self.root / str(len(self.made))
            shutil.rmtree(where, ignore_errors=True)
            run(Workspace(where / "w"), where)
            kept = self.root / f"{len(self.made)}-made"
            (where / "w" / place).rename(kept)
            shutil.rmtree(where)
            self.made[key] = Made(kept, offers_of(kept))
        return self.made[key]


def copy(source: Path, target: Path) -> None:
    """By links: our files are replaced, never written into; but for the lock."""
    shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(".lock", "checkpoint"))


def _frozen(values: Any) -> Any:
    if isinstance(values, Mapping):
        return tuple(sorted((key, _frozen(value)) for key, value in values.items()))
    return tuple(values) if isinstance(values, list) else values
