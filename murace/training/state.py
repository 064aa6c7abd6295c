"""What a training is given (`TrainingSetup`), where it stands (`Training`, `Progress`), and the events it yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from murace.config import Machine, Recipe
from murace.data.loading.batches import Images, Rows, num_steps
from murace.system.device import Place
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training.batchnorm import synchronise
from murace.training.loss import image_weights

BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class SplitArrays:
    """The images of one split: their rows in the pixel array, labels, loss weights and study numbers, each [N]."""

    rows: Rows
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    studies: npt.NDArray[np.int64]


def split_arrays(images: pd.DataFrame, weights: Mapping[str, tuple[float, float]]) -> SplitArrays:
    """The arrays of some rows of the index (columns row, group, study, label), weighted by group and label."""
    return SplitArrays(
        rows=np.array(images["row"], dtype=np.int64),
        labels=np.array(images["label"], dtype=np.int64),
        weights=image_weights(weights, images["group"], images["label"]),
        studies=pd.factorize(images["study"], sort=True)[0].astype(np.int64),
    )


@dataclass(frozen=True)
class TrainingSetup:
    """What a training uses and does not change: both splits, the pixels, hyperparameters, device and reporter."""

    train: SplitArrays
    validation: SplitArrays
    images: Images
    recipe: Recipe
    place: Place
    reporter: Reporter
    machine: Machine = Machine()  # noqa: RUF009 - frozen

    @property
    def batch_size(self) -> int:
        """Images per step, of all processes together: all of them where there are fewer than a batch."""
        return min(self.recipe.batch_size, len(self.train.rows))

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come to this or, at the same step, to any other process."""
        process_group().check(self.reporter)


@dataclass
class Progress:
    """Where a training stands; goes through JSON exactly. `step` counts the steps done in epoch `epoch` + 1."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_score: float | None = None
    best_loss: float | None = None
    least_train_loss: float | None = None
    epochs_without_fall: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Training:
    """A running training, all that a checkpoint holds: net, optimizer, losses, best predictions, progress.

    `graph` is `on` where its steps are replayed as a CUDA graph, else `off`; `graph_reason` is why that was given up.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    losses: Tensor  # float64 [steps]: the running epoch's sums of weighted cross-entropy, on the device
    best: Tensor  # float64 [N]: the best epoch's probabilities of the validation images
    progress: Progress = field(default_factory=Progress)
    graph: str = "off"
    graph_reason: str | None = None

    @property
    def graph_facts(self) -> dict[str, str]:
        """What a record says of the graph."""
        return {"graph": self.graph, **({"graph_reason": self.graph_reason} if self.graph_reason else {})}


@dataclass(frozen=True)
class TrainingEvent:
    """What the loop yields: an epoch's end (`is_best`: its weights are worth keeping), or an interruption (`signum`).

    `note` is the line to show about the epoch, once its checkpoint is written.
    """

    is_best: bool = False
    note: str = ""
    signum: int | None = None


def start(net: nn.Module, setup: TrainingSetup) -> Training:
    """A training at its beginning: Adam with betas 0.9 and 0.999 (paper, Table 2) and torch's epsilon."""
    device = setup.place.device
    setup.place.put(net)
    synchronise(net, process_group(), device)
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.Adam(net.parameters(), lr=setup.recipe.lr, betas=BETAS, fused=True, capturable=on_gpu)
    steps = num_steps(len(setup.train.rows), setup.recipe.batch_size)
    losses = torch.zeros(steps, dtype=torch.float64, device=device)
    return Training(net, optimizer, losses, torch.zeros(len(setup.validation.rows), dtype=torch.float64))
