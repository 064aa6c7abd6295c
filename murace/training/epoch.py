"""What an epoch was worth: validation, the history's row, and whether it is the best so far."""

import math

import numpy as np
import torch

from murace.errors import UsageError
from murace.metrics.scores import score
from murace.nets.forward import Probabilities, logits_of, probabilities
from murace.training.loss import weighted_cross_entropy
from murace.training.state import Part, Progress, Setting, Training, TrainingEvent
from murace.vocabulary import Metric


def close_epoch(training: Training, setting: Setting, *, epoch: int) -> TrainingEvent:
    """Validate, write the epoch into the history, and judge whether it is the best so far."""
    progress, part, recipe = training.progress, setting.validation, setting.recipe
    logits = logits_of(training.net, setting.images, part.rows, place=setting.place, reporter=setting.reporter)
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
    if is_best:
        training.best.copy_(torch.from_numpy(chance))
    return TrainingEvent(is_best=is_best)


def study_scores(part: Part, chance: Probabilities) -> dict[str, float]:
    """The measures of the studies' mean probabilities; NaN where one is undefined."""
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
