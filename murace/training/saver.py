"""Save a running training as a checkpoint, in the background where that suits, and restore it from one."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from murace.errors import WorkspaceError
from murace.nets.weights import save_model
from murace.system.failures import refuse_machine_error
from murace.training.checkpoint import SavedState, flatten_adam, restore_adam, save_state
from murace.training.state import Progress, Training, TrainingEvent, TrainingSetup

Facts = Mapping[str, Any]
NET = "net."  # what the names of the net's tensors begin with in a state


class Saver:
    """Writes the checkpoints of one training into one folder.

    Args:
        folder: the folder.
        form: the facts that rebuild the net.
        facts: the facts of the run, which a resume compares.
        best: the file with the best weights so far.
        in_background: copy the tensors and let a thread write them while the next epoch runs, as suits a GPU; `close`
            waits for it. Else the writing is done when `save` returns: a CPU's cores are the ones that train.
    """

    def __init__(self, folder: Path, *, form: Facts, facts: Facts, best: Path | None, in_background: bool) -> None:
        self.folder, self.form, self.facts, self.best = folder, form, facts, best
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="saver") if in_background else None
        self.pending: Future[None] | None = None

    def save(self, training: Training, event: TrainingEvent, *, then: Callable[[], None] = lambda: None) -> None:
        """Write the training's state, and its weights where they are the best so far; then call `then`.

        Raises:
            MachineError: this state, or the one before it, cannot be written.
        """
        self.wait()
        progress = training.progress
        if event.is_best:
            self.best = self.folder / f"best-{progress.epoch:06d}.safetensors"
        tensors = {
            **{f"{NET}{name}": tensor for name, tensor in training.net.state_dict().items()},
            **flatten_adam(training.optimizer),
            **{"losses": training.losses, "best": training.best, "rng": torch.get_rng_state()},
        }
        tensors = {name: tensor.detach().to("cpu", copy=self.thread is not None) for name, tensor in tensors.items()}
        facts = {**self.facts, **training.graph_facts, "progress": asdict(progress)}
        given = tensors, facts, (progress.epoch, progress.step), event.is_best, self.best
        if self.thread is None:
            self._write(*given, then)
        else:
            self.pending = self.thread.submit(self._write, *given, then)

    def wait(self) -> None:
        """Wait until what was given to `save` is on the disk."""
        if self.pending is not None:
            pending, self.pending = self.pending, None
            pending.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            if self.thread is not None:
                self.thread.shutdown()

    def _write(
        self,
        tensors: dict[str, Tensor],
        facts: Facts,
        position: tuple[int, int],
        is_best: bool,
        best: Path | None,
        then: Callable[[], None],
    ) -> None:
        if is_best:
            assert best is not None
            save_model(best, _weights(tensors), self.form)
        save_state(self.folder, tensors, facts, position=position, best=best)
        then()


def restore(training: Training, saved: SavedState, setup: TrainingSetup) -> None:
    """Resume: put a training where a saved state says it stood.

    Raises:
        WorkspaceError: the state is damaged, or of another form or precision.
    """
    facts, tensors = saved.facts, saved.load()
    if facts["precision"] != setup.place.precision:
        raise WorkspaceError(
            f"the unfinished run was in {facts['precision']}, this one would be in {setup.place.precision}: "
            f"go on with --precision {facts['precision']}, or start over with --fresh"
        )
    try:
        training.net.load_state_dict(_weights(tensors))
        restore_adam(training.optimizer, tensors)
        training.losses.copy_(tensors["losses"])
        training.best.copy_(tensors["best"])
    except (RuntimeError, KeyError, ValueError) as error:
        refuse_machine_error(error)
        raise WorkspaceError(f"the checkpoint does not fit this run ({error}); start over with --fresh") from error
    training.progress = Progress(**facts["progress"])
    if setup.place.graph == "off":
        training.graph_reason = facts.get("graph_reason")
    torch.set_rng_state(tensors["rng"])  # last: nothing may draw between here and the first step


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The net's own among a state's tensors."""
    return {name.removeprefix(NET): tensor for name, tensor in tensors.items() if name.startswith(NET)}
