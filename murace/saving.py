"""The states of a training on disk: each one that the loop yields, with the best weights, and the newest one back."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from murace.checkpoint import Saved, dense, flatten_adam, restore_adam, save_model, save_state
from murace.errors import WorkspaceError
from murace.fit import Moment, Progress, Setting, Training

Facts = Mapping[str, Any]


class Saver:
    """Writes the states of one training into one folder.

    On a GPU the tensors are copied and a thread writes them while the next epoch runs; `close` waits for it. On a CPU
    the writing is done when `save` returns: its cores are the ones that train.

    Args:
        folder: where the states go.
        model: the facts that rebuild the net.
        run: the facts that a resume compares.
        best: the file with the best weights so far.
    """

    def __init__(self, folder: Path, *, model: Facts, run: Facts, best: Path | None) -> None:
        self.folder, self.model, self.run, self.best = folder, model, run, best
        self.thread: ThreadPoolExecutor | None = None
        self.pending: Future[None] | None = None

    def save(self, training: Training, moment: Moment) -> None:
        """Write where the training stands, and its weights where they are the best so far.

        Raises:
            MachineError: this state, or the one before it, cannot be written.
        """
        self.wait()
        progress = training.progress
        weights = dense(training.net.state_dict())
        if moment.is_best:
            self.best = self.folder / f"best-{progress.epoch:06d}.safetensors"
        tensors = {
            **{f"net.{name}": tensor for name, tensor in weights.items()},
            **dense(flatten_adam(training.optimizer)),
            **dense({"losses": training.losses, "best": training.best, "rng": torch.get_rng_state()}),
        }
        facts = {**self.run, "progress": asdict(progress)}
        position = progress.epoch, progress.step
        if training.losses.device.type == "cpu":
            self._write(weights if moment.is_best else None, tensors, facts, position)
            return
        tensors["best"] = tensors["best"].clone()  # the one that is not on the GPU
        self.thread = self.thread or ThreadPoolExecutor(1, thread_name_prefix="saver")
        given = weights if moment.is_best else None, tensors, facts, position
        self.pending = self.thread.submit(self._write, *given)

    def wait(self) -> None:
        """Wait until what was given to `save` is on the disk."""
        if self.pending is not None:
            pending, self.pending = self.pending, None
            pending.result()

    def close(self) -> None:
        """Wait, and let the thread go."""
        try:
            self.wait()
        finally:
            if self.thread is not None:
                self.thread.shutdown()

    def _write(
        self, weights: dict[str, Tensor] | None, tensors: dict[str, Tensor], facts: Facts, position: tuple[int, int]
    ) -> None:
        if weights is not None:
            assert self.best is not None
            save_model(self.best, weights, self.model)
        save_state(self.folder, tensors, facts, position=position, best=self.best)


def restore(training: Training, saved: Saved, setting: Setting) -> None:
    """Put a training where a state says it stood.

    Raises:
        WorkspaceError: the state is of another form or precision.
    """
    facts, tensors = saved.facts, saved.tensors
    if facts["precision"] != setting.place.precision:
        raise WorkspaceError(
            f"the unfinished run was in {facts['precision']}, this one would be in {setting.place.precision}: "
            f"go on with --precision {facts['precision']}, or start over with --fresh"
        )
    net = {name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")}
    try:
        training.net.load_state_dict(net)
        restore_adam(training.optimizer, tensors)
        training.losses.copy_(tensors["losses"])
        training.best.copy_(tensors["best"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise WorkspaceError(f"the checkpoint does not fit this run ({error}); start over with --fresh") from error
    training.progress = Progress(**facts["progress"])
    torch.set_rng_state(tensors["rng"])  # last: nothing may draw between here and the first step
