"""Tiny prepared workspaces for tests: made-up pictures whose class a small net can learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from murace.config import CalibrateConfig, EvaluateConfig, FinetuneConfig, Machine, Recipe, TrainConfig
from murace.data.store import COLUMNS, write_frame
from murace.nets import outline
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import step
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system.files import atomic, sha256
from murace.system.progress import Reporter
from murace.vocabulary import LEARNERS
from murace.workspace import Rerun, begin, commit, writing
from murace.workspace.paths import Workspace
from tests.data.files import png

CPU = Machine(gpu="cpu", threads=1, side_by_side="1")  # in this process, where a test may change what it likes
SIZE = 64
SHARES = (("train", 12), ("validation", 6), ("test", 6))
GROUPS = ("elbow", "wrist")


@contextmanager
def in_float64() -> Iterator[None]:
    """What murace computes in float32 on a CPU is float64 here, and so are nets and tensors that are made here.

    No two processors round alike, nor do two batch sizes on one, and a deep net, or a training, makes much of that:
    in float32 a test could ask for a few digits only. In float64 what is left is far less than what it asks for.
    """
    before = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.Tensor, "float", torch.Tensor.double)
        torch.set_default_dtype(torch.float64)
        outline.cache_clear()  # it draws a form once, in the float of then
        try:
            yield
        finally:
            outline.cache_clear()
            torch.set_default_dtype(before)


def tiny_index(groups: tuple[str, ...] = GROUPS) -> pd.DataFrame:
    """Per group and class: 12 training, 6 validation and 6 test studies of one or two views, a patient each."""
    rows = []
    for group in groups:
        for split, count in SHARES:
            for number in range(count * 2):
                label = number % 2
                study = f"{split}/{group}/p{number}/s1"
                for view in range(1 + number % 3 // 2):
                    path = f"{study}/image{view}.png"
                    rows.append((path, split, group, f"{split}-{group}-{number}", study, label, SIZE, SIZE, "0" * 64))
    frame = pd.DataFrame(rows, columns=COLUMNS[1:])
    return frame.reset_index(names="row")


def tiny_pixels(index: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Noise, for the abnormal a bright square somewhere, and for each group a shade that falls in a way of its own."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 120, (len(index), SIZE, SIZE), dtype=np.uint8)
    shade = np.linspace(0, 80, SIZE, dtype=np.uint8)[:, None]
    for number, group in enumerate(sorted(set(index["group"]))):
        pixels[(index["group"] == group).to_numpy()] += shade.T if number % 2 else shade
    for row, label in enumerate(index["label"]):
        if label:
            y, x = generator.integers(8, SIZE - 24, 2)
            pixels[row, y : y + 16, x : x + 16] = 255
    return pixels


def tiny_source(root: Path, index: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """The pictures as the files that the index names; returns the index with their digests."""
    for path, picture in zip(index["path"], pixels, strict=True):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(png(picture))
    return index.assign(sha256=[sha256(root / path) for path in index["path"]])


def tiny_workspace(
    root: Path, *, seed: int = 0, groups: tuple[str, ...] = GROUPS, source: Path | None = None
) -> Workspace:
    """A workspace whose `prepare` is done, of pictures that lie in `source` if there is one."""
    workspace = Workspace(root)
    folder = workspace.prepare
    index, pixels = tiny_index(groups), tiny_pixels(tiny_index(groups), seed)
    if source is not None:
        index = tiny_source(source, index, pixels)
    with writing(folder.folder):
        begin(folder.folder, "prepare", {"size": SIZE, "fit": "squash", "seed": 0}, {"source": f"{seed}"})
        write_frame(folder.index, index, private=True)
        with atomic(folder.pixels) as file:
            np.save(file, pixels)
        counts = pd.crosstab(index["group"], [index["split"], index["label"]])
        counts.columns = [f"{split}_{'positive' if label else 'negative'}" for split, label in counts.columns]
        counts.loc["overall"] = counts.sum()
        write_frame(folder.counts, counts.reset_index(names="group"))
        info = {"images": len(index), "patient_level": True, "synthetic": True, "source_form": "mura", "rejected": 0}
        commit(folder.folder, ["index.csv", "pixels.npy", "counts.csv"], info=info)
    return workspace


def tiny_config(learner: str = "convnet", **recipe: object) -> TrainConfig:
    """A narrow net, few epochs, fp32."""
    values = {"epochs": 2, "batch_size": 8, "precision": "fp32", "lr": 0.003, **recipe}
    return TrainConfig(learner=learner, width=0.1, recipe=Recipe(**values))


def tiny_members(**recipe: object) -> FinetuneConfig:
    """Members trained for an epoch, in fp32."""
    return FinetuneConfig(recipe=Recipe(**{"epochs": 1, "lr": 1e-3, "precision": "fp32", **recipe}), batch_size=8)


def tiny_chain(workspace: Workspace) -> None:
    """Everything from `train` to `evaluate`, in seconds."""
    for learner in LEARNERS:
        train.run(workspace, tiny_config(learner), machine=CPU, rerun=Rerun(), reporter=Reporter())
    calibrate.run(workspace, CalibrateConfig(), machine=CPU, rerun=Rerun(), reporter=Reporter())
    finetune.run(workspace, tiny_members(), groups=[], machine=CPU, rerun=Rerun(), reporter=Reporter())
    step.run(workspace, EvaluateConfig(), machine=CPU, rerun=Rerun(), reporter=Reporter())
