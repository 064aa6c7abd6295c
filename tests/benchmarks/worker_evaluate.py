"""Evaluation: what `murace evaluate` does, or five models that are each asked on their own with the same code.

A spec has `way` (once or five), `root`, `images`, `members` (group -> learner) and `size`.
"""

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

import murace.cli.app  # noqa: F401 - as any command does, before torch
from murace.config import Machine
from murace.data.loading.batches import Images
from murace.data.store import open_pixels
from murace.inference.combine import PAIR, combine
from murace.nets.forward import Probabilities, logits_of, probabilities
from murace.nets.weights import load_model
from murace.steps.evaluate.predictions import predict_all
from murace.system import device
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS
from murace.workspace.paths import MODEL, Workspace
from tests.benchmarks.serve import Spec, Work, serve

CPU = torch.device("cpu")


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """Open the workspace."""
    threads = device.set_threads(Machine())
    precision = device.resolve_precision("auto", CPU)
    workspace = Workspace(Path(spec["root"]))
    test = test_images(list(spec["members"]), spec["images"])
    ask = {"once": _once, "five": _five}[spec["way"]]
    answers = ask(workspace, spec["members"], test, precision)  # a round for warming up, and its digest

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        ask(workspace, spec["members"], test, precision)
        return len(test), time.perf_counter() - began

    columns = {name: float(answers[name].sum()) for name in answers if name not in test}
    return work, {"threads": threads, "precision": precision, "sums": columns}


def test_images(groups: list[str], count: int) -> pd.DataFrame:
    """As many images of each group."""
    rows = np.arange(count)
    return pd.DataFrame({"row": rows, "group": [groups[row % len(groups)] for row in rows]})


def _once(workspace: Workspace, members: dict[str, str], test: pd.DataFrame, precision: str) -> pd.DataFrame:
    record = SimpleNamespace(info={"precision": precision}, produced={MODEL: {"sha256": ""}})
    learners, groups = dict.fromkeys(LEARNERS, record), dict.fromkeys(members, record)
    nets = {f"train/{name}": record for name in learners} | {f"finetune/{name}": record for name in groups}
    inputs = SimpleNamespace(nets=nets, learners=learners, members=groups, models=[])
    shutil.rmtree(workspace.evaluate.partial, ignore_errors=True)  # else the probabilities of the last round are taken
    return predict_all(workspace, inputs, test, CPU, Reporter()).images


def _five(workspace: Workspace, members: dict[str, str], test: pd.DataFrame, precision: str) -> pd.DataFrame:
    place = device.Place(CPU, precision)
    images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), CPU)

    def ask(folder: str, rows: pd.DataFrame) -> Probabilities:
        net = load_model(workspace.root / folder / "model.safetensors")
        place.put(net)
        return probabilities(logits_of(net, images, np.array(rows["row"]), place=place, reporter=Reporter()))

    learners = {name: ask(f"train/{name}", test) for name in LEARNERS}
    for name in PAIR:  # the fourth model, asked as if the first three had not been
        ask(f"train/{name}", test)
    routed = {group: ask(f"finetune/{group}", test[test["group"] == group]) for group in members}
    return combine(test, learners, routed)


if __name__ == "__main__":
    serve(prepare)
