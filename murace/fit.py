"""One training loop, a generator: it yields whenever there is something worth saving, and its caller saves.

`train` and `finetune` share it. Nothing here knows a file.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

from murace.config import Recipe
from murace.data.augment import augment
from murace.data.batches import Images, Rows, num_steps, order
from murace.device import Place
from murace.errors import Interrupted, UsageError
from murace.forward import Probabilities, logits_of, probabilities
from murace.loss import image_weights, weighted_cross_entropy
from murace.metrics.scores import score
from murace.vocabulary import Metric
from murace.watch import Bar, Watch

LOG_EVERY = 20  # steps between two looks at the loss: on a GPU each look is a wait


@dataclass(frozen=True)
class Part:
    """The images of one split: rows, labels, loss weights and study numbers, each [N]."""

    rows: Rows
    labels: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    studies: npt.NDArray[np.int64]


def part_of(images: pd.DataFrame, weights: Mapping[str, tuple[float, float]]) -> Part:
    """The images of some rows of the index (columns row, group, study, label), weighted by group and label."""
    return Part(
        rows=np.array(images["row"], dtype=np.int64),
        labels=np.array(images["label"], dtype=np.int64),
        weights=image_weights(weights, images["group"], images["label"]),
        studies=pd.factorize(images["study"], sort=True)[0].astype(np.int64),
    )


@dataclass(frozen=True)
class Setting:
    """What a training needs and does not change."""

    train: Part
    validation: Part
    images: Images
    recipe: Recipe
    place: Place
    watch: Watch

    @property
    def batch_size(self) -> int:
        """Images per step: all of them where there are fewer than a batch."""
        return min(self.recipe.batch_size, len(self.train.rows))


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
    """A net on its way: what a saved state holds."""

    net: nn.Module
    optimizer: torch.optim.Optimizer
    losses: Tensor  # float64 [steps]: the running epoch's sums of weighted cross-entropy, on the device
    progress: Progress = field(default_factory=Progress)


@dataclass(frozen=True)
class Moment:
    """What the loop yields: an epoch's end (`is_best`: its weights are worth keeping), or a pause (`signum`)."""

    is_best: bool = False
    validation: Probabilities | None = None
    signum: int | None = None


def start(net: nn.Module, setting: Setting) -> Training:
    """A training at its beginning: Adam with betas 0.9 and 0.999 (paper, Table 2) and torch's epsilon."""
    setting.place.put(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=setting.recipe.lr, betas=(0.9, 0.999), fused=True)
    steps = num_steps(len(setting.train.rows), setting.recipe.batch_size)
    losses = torch.zeros(steps, dtype=torch.float64, device=setting.place.device)
    return Training(net, optimizer, losses)


def fit(training: Training, setting: Setting, *, score_start: bool = False) -> Iterator[Moment]:
    """Train until `recipe.epochs`, or until the training loss has not fallen for `recipe.patience` epochs.

    The paper stops on the training loss and keeps the epoch with the best validation score. With `score_start` the
    weights as they come are a candidate too, as epoch 0. A signal ends the loop with a pause: at a step boundary, or
    before a validation that is then repeated on resume.

    Raises:
        UsageError: the loss or the output is not finite; the message says at which epoch and step.
    """
    progress, recipe, watch = training.progress, setting.recipe, setting.watch
    try:
        if score_start and progress.best_epoch < 0:
            yield _close_epoch(training, setting, epoch=0)
        with watch.bar("epochs", recipe.epochs, start=progress.epoch, lines=True) as epochs:
            while progress.epoch < recipe.epochs and progress.epochs_without_fall < recipe.patience:
                title = f"epoch {progress.epoch + 1}/{recipe.epochs}"
                with watch.bar(title, len(training.losses), start=progress.step) as steps:
                    _run_epoch(training, setting, steps)
                moment = _close_epoch(training, setting, epoch=progress.epoch + 1)
                epochs.advance(1, note=_note(progress, recipe))
                yield moment
    except Interrupted as interruption:
        yield Moment(signum=interruption.signum)


def _run_epoch(training: Training, setting: Setting, bar: Bar) -> None:
    """The steps of an epoch that are not done yet."""
    progress, place, size = training.progress, setting.place, setting.batch_size
    epoch, count = progress.epoch + 1, len(training.losses)
    everyone = np.arange(len(setting.train.rows))
    batches = order(everyone, seed=setting.recipe.seed, epoch=epoch)[: count * size].reshape(count, size)
    on_device = [torch.from_numpy(values).to(place.device) for values in _columns(setting.train, batches)]
    training.net.train()
    began, seconds_before = time.perf_counter(), progress.seconds
    try:
        while progress.step < count:
            setting.watch.check()
            rows, labels, weights = (values[progress.step] for values in on_device)
            batch = augment(setting.images.gather(rows), rows, seed=setting.recipe.seed, epoch=epoch)
            training.losses[progress.step] = _step(training, batch, labels, weights, place)
            progress.step += 1
            if progress.step % LOG_EVERY == 0 or progress.step == count:
                _refuse_bad_loss(training.losses[: progress.step], epoch)
            progress.seconds = seconds_before + time.perf_counter() - began
            bar.advance(1, note=f"{progress.step * size / progress.seconds:,.0f} images/s")
    finally:
        if place.device.type == "cuda":
            torch.cuda.synchronize(place.device)
        progress.seconds = seconds_before + time.perf_counter() - began


def _columns(part: Part, batches: npt.NDArray[np.int64]) -> list[npt.NDArray[Any]]:
    """Rows, labels and weights of every batch of an epoch, each [steps, B]."""
    return [part.rows[batches], part.labels[batches], part.weights[batches]]


def _step(training: Training, batch: Tensor, labels: Tensor, weights: Tensor, place: Place) -> Tensor:
    """One optimiser step on a batch's mean loss; returns its summed loss."""
    with place.autocast():
        logits = training.net(batch.contiguous(memory_format=place.memory_format))
    loss = weighted_cross_entropy(logits, labels, weights)
    training.optimizer.zero_grad(set_to_none=True)
    (loss / len(labels)).backward()  # type: ignore[no-untyped-call]
    training.optimizer.step()
    return loss.detach()


def _refuse_bad_loss(losses: Tensor, epoch: int) -> None:
    bad = (~torch.isfinite(losses)).nonzero().flatten()
    if len(bad):
        raise UsageError(
            f"the loss is not finite at epoch {epoch}, step {int(bad[0]) + 1}: try a lower --lr or --precision fp32, "
            "with --fresh. The weights of the epochs before are still there"
        )


def _close_epoch(training: Training, setting: Setting, *, epoch: int) -> Moment:
    """Validate, write the epoch into the history, and judge whether it is the best so far."""
    progress, part, recipe = training.progress, setting.validation, setting.recipe
    logits = logits_of(training.net, setting.images, part.rows, place=setting.place, watch=setting.watch)
    labels, weights = torch.from_numpy(part.labels), torch.from_numpy(part.weights)
    loss = float(weighted_cross_entropy(logits, labels, weights)) / len(labels) if len(labels) else None
    chance = probabilities(logits)
    if not np.isfinite(chance).all():
        raise UsageError(f"the net's output is not finite after epoch {epoch}: try a lower --lr, with --fresh")
    scores = study_scores(part, chance)
    seen = len(training.losses) * setting.batch_size
    train_loss = float(training.losses.sum()) / seen if epoch else None
    _note_train_loss(progress, train_loss)
    is_best = _judge(progress, scores[recipe.monitor], loss, epoch)
    progress.history.append(
        {
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": loss,
            **{str(name): _or_none(scores[name]) for name in (Metric.AUC, Metric.ACCURACY, Metric.KAPPA)},
            "seconds": round(progress.seconds, 3),
            "images_per_second": round(seen / progress.seconds, 2) if epoch else None,
        }
    )
    progress.epoch, progress.step, progress.seconds = epoch, 0, 0.0
    return Moment(is_best=is_best, validation=chance)


def study_scores(part: Part, chance: Probabilities) -> dict[Metric, float]:
    """The five metrics of the studies' mean probabilities; NaN where one is undefined."""
    count = np.bincount(part.studies)
    labels = np.zeros(len(count), dtype=np.int64)
    labels[part.studies] = part.labels
    return score(labels, np.bincount(part.studies, weights=chance, minlength=len(count)) / count)


def _note_train_loss(progress: Progress, loss: float | None) -> None:
    if loss is None:
        return
    if progress.least_train_loss is None or loss < progress.least_train_loss:
        progress.least_train_loss, progress.epochs_without_fall = loss, 0
    else:
        progress.epochs_without_fall += 1


def _judge(progress: Progress, value: float, loss: float | None, epoch: int) -> bool:
    """Is this epoch better: by the monitored score, else (a tie, or no score at all) by the validation loss."""
    if progress.best_epoch >= 0 and _merit(_or_none(value), loss) <= _merit(progress.best_score, progress.best_loss):
        return False
    progress.best_epoch, progress.best_score, progress.best_loss = epoch, _or_none(value), loss
    return True


def _merit(value: float | None, loss: float | None) -> tuple[float, float]:
    """Comparable: any score beats none, a smaller loss beats a larger one, any loss beats none."""
    return (-math.inf if value is None else value, -math.inf if loss is None else -loss)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _note(progress: Progress, recipe: Recipe) -> str:
    """What a person wants to know after an epoch."""
    last = progress.history[-1]
    return (
        f"train loss {last['train_loss']:.4f}  validation loss {_shown(last['validation_loss'])}  "
        f"best {recipe.monitor} {_shown(progress.best_score)} (epoch {progress.best_epoch})  "
        f"{last['images_per_second']:,.0f} images/s"
    )


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
