"""The end of an epoch: validation, the history's row, the best epoch so far, and the count for early stopping."""

import math

import numpy as np
import torch

from murace.errors import UsageError
from murace.metrics.scores import score
from murace.nets.forward import Probabilities, logits_of, probabilities
from murace.training.loss import weighted_cross_entropy
from murace.training.state import Progress, SplitArrays, Training, TrainingEvent, TrainingSetup
from murace.vocabulary import Metric

CLOCK = ("seconds", "images_per_second")  # columns of the history that differ between two equal trainings


def close_epoch(training: Training, setup: TrainingSetup, *, epoch: int) -> TrainingEvent:
    """Validate, add a row to the history, and tell whether the epoch is the best so far.

    Raises:
        UsageError: the net's output is not finite.
    """
    progress, split, recipe = training.progress, setup.validation, setup.recipe
    logits = logits_of(training.net, setup.images, split.rows, place=setup.place, reporter=setup.reporter)
    labels, weights = torch.from_numpy(split.labels), torch.from_numpy(split.weights)
    loss = float(weighted_cross_entropy(logits, labels, weights)) / len(labels) if len(labels) else None
    chance = probabilities(logits)
    if not np.isfinite(chance).all():
        raise UsageError(f"the net's output is not finite after epoch {epoch}: try a lower --lr, with --fresh")
    scores = study_scores(split, chance)
    seen = len(training.losses) * setup.batch_size
    train_loss = float(training.losses.sum()) / seen if epoch else None
    _count_for_early_stopping(progress, train_loss)
    is_best = _update_best(progress, scores[recipe.monitor], loss, epoch)
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
    if is_best:
        training.best.copy_(torch.from_numpy(chance))
    return TrainingEvent(is_best=is_best)


def study_scores(split: SplitArrays, chance: Probabilities) -> dict[str, float]:
    """The metrics of the studies' mean probabilities, `chance` [N] by image; NaN where one is undefined."""
    count = np.bincount(split.studies)
    labels = np.zeros(len(count), dtype=np.int64)
    labels[split.studies] = split.labels
    return score(labels, np.bincount(split.studies, weights=chance, minlength=len(count)) / count)


def _count_for_early_stopping(progress: Progress, train_loss: float | None) -> None:
    """Count the epochs since the training loss last fell; None is epoch 0, without training."""
    if train_loss is None:
        return
    if progress.least_train_loss is None or train_loss < progress.least_train_loss:
        progress.least_train_loss, progress.epochs_without_fall = train_loss, 0
    else:
        progress.epochs_without_fall += 1


def _update_best(progress: Progress, value: float, loss: float | None, epoch: int) -> bool:
    """Whether this epoch is the best: by the monitored metric, else (a tie, or undefined) by the validation loss."""
    if progress.best_epoch >= 0 and _rank(_or_none(value), loss) <= _rank(progress.best_score, progress.best_loss):
        return False
    progress.best_epoch, progress.best_score, progress.best_loss = epoch, _or_none(value), loss
    return True


def _rank(value: float | None, loss: float | None) -> tuple[float, float]:
    """A sort key: any value of the metric beats none, a smaller loss beats a larger one, any loss beats none."""
    return (-math.inf if value is None else value, -math.inf if loss is None else -loss)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
