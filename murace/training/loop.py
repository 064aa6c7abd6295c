"""The training loop: epochs of steps, early stopping, and a stop on signals, as a generator whose caller saves."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from murace.config import Recipe
from murace.errors import Interrupted, PeerLostError, UsageError
from murace.system.progress import Bar
from murace.training.epoch import close_epoch
from murace.training.state import Progress, Training, TrainingEvent, TrainingSetup
from murace.training.step import Stepper

LOG_EVERY = 20  # steps between two looks at the loss: on a GPU each look is a wait


def fit(training: Training, setup: TrainingSetup, *, score_start: bool = False) -> Iterator[TrainingEvent]:
    """Train until `recipe.epochs`, or until the training loss has not fallen for `recipe.patience` epochs.

    The paper's early stopping looks at the training loss, and the best epoch is that with the best validation score.
    With `score_start` the weights as they come are a candidate too, as epoch 0. A signal ends the loop with an event
    that says so: at a step boundary, or before a validation that is then repeated on resume.

    Raises:
        UsageError: the loss or the output is not finite; the message says at which epoch and step.
    """
    progress, recipe, reporter = training.progress, setup.recipe, setup.reporter
    stepper = Stepper(training, setup)
    try:
        if score_start and progress.best_epoch < 0:
            yield close_epoch(training, setup, epoch=0)
        while _continues(progress, setup):
            title = f"epoch {progress.epoch + 1}/{recipe.epochs}"
            with reporter.bar(title, len(training.losses), start=progress.step) as steps:
                _run_epoch(training, setup, stepper, steps)
            event = close_epoch(training, setup, epoch=progress.epoch + 1)
            yield replace(event, note=_line(progress, recipe))
    except Interrupted as interruption:
        yield TrainingEvent(signum=interruption.signum)


def _continues(progress: Progress, setup: TrainingSetup) -> bool:
    """Whether there is another epoch: none after the last or by early stopping, none without validation images."""
    recipe = setup.recipe
    is_running = progress.epoch < recipe.epochs and progress.epochs_without_fall < recipe.patience
    return is_running and len(setup.validation.rows) > 0


def _run_epoch(training: Training, setup: TrainingSetup, stepper: Stepper, bar: Bar) -> None:
    """The steps of an epoch that are not done yet.

    A GPU is waited for every `LOG_EVERY` steps only; one of several also in torch's SyncBatchNorm.
    """
    progress, size = training.progress, setup.batch_size
    epoch, count = progress.epoch + 1, len(training.losses)
    stepper.begin(epoch, progress.step)
    training.net.train()
    began, seconds_before = time.perf_counter(), progress.seconds
    try:
        with setup.place.searching():  # shapes never change here
            while progress.step < count:
                setup.check()
                stepper.step()
                progress.step += 1
                if progress.step % LOG_EVERY == 0 or progress.step == count:
                    _refuse_bad_loss(training.losses[: progress.step], epoch)
                progress.seconds = seconds_before + time.perf_counter() - began
                bar.advance(1, note=f"{progress.step * size / progress.seconds:,.0f} images/s")
    finally:
        stepper.close()
        has_lost_peer = isinstance(sys.exception(), PeerLostError)  # a GPU may wait for that process for ever
        if setup.place.device.type == "cuda" and not has_lost_peer:
            torch.cuda.synchronize(setup.place.device)
        progress.seconds = seconds_before + time.perf_counter() - began


def _refuse_bad_loss(losses: Tensor, epoch: int) -> None:
    bad = (~torch.isfinite(losses)).nonzero().flatten()
    if len(bad):
        raise UsageError(
            f"the loss is not finite at epoch {epoch}, step {int(bad[0]) + 1}: start over with --fresh "
            "and a lower --lr, or --precision fp32"
        )


def _line(progress: Progress, recipe: Recipe) -> str:
    """What is shown after an epoch."""
    last = progress.history[-1]
    return (
        f"train loss {last['train_loss']:.4f}  validation loss {_shown(last['validation_loss'])}  "
        f"best {recipe.monitor} {_shown(progress.best_score)} (epoch {progress.best_epoch})  "
        f"{last['images_per_second']:,.0f} images/s"
    )


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
