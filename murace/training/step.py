"""One optimizer step: forward, backward and Adam's update; on a GPU captured as a CUDA graph, checked and replayed."""

import functools
import os
import traceback
import warnings
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from murace.data.loading.augment import augment
from murace.data.loading.batches import order
from murace.data.loading.stream import read_ahead
from murace.errors import MachineError
from murace.system.failures import is_out_of_memory
from murace.system.processes import process_group
from murace.training.capture import Capture, Work, changing, copied, cuda_capture, difference, put_back
from murace.training.loss import weighted_cross_entropy
from murace.training.state import Training, TrainingSetup

WARM_UP = 3  # steps before a graph is captured: lazy initialisation and cuDNN's search must be over
CHECKED = 2  # steps of a graph that are compared with eager ones: the second shows what stays as it was in the first
_UNFIT = "a training step cannot be replayed as a CUDA graph here"
COMPILER = ("torch._dynamo", "torch._inductor", "triton")


class Stepper:
    """The steps of a training, epoch by epoch.

    Everything that a step reads lies on the device: tables of the images of each step, and a counter of the steps done.
    So on a GPU a step can become one CUDA graph: the first steps run eagerly, which warms up and counts like any other,
    then one is captured, and compared with the eager one, as is its first replay; from there it is only replayed. Where
    the comparison or the capture fails, the eager result stands and the training goes on eagerly, with a warning.
    """

    def __init__(self, training: Training, setup: TrainingSetup) -> None:
        place, self.processes = setup.place, process_group()
        self.training, self.setup = training, setup
        self.forward = torch.compile(training.net, dynamic=False) if place.compiled else training.net
        self.stream = _stream(place.device) if place.device.type == "cuda" else None
        self.capture = capture_for(setup, self.stream)
        self.replay: Work | None = None
        self.warm = self.checked = 0
        self.position = torch.zeros(1, dtype=torch.int64, device=place.device)
        self.epoch = torch.zeros((), dtype=torch.int64, device=place.device)
        self.tables: list[Tensor] = []
        self.ahead: Generator[Tensor, None, None] | None = None
        self.incoming: Tensor | None = None
        # Adam is made for a graph, and warns that its first steps are in none.
        warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
        if place.compiled:  # TF32 is not wanted: the sampling grid is a matrix product
            warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")

    def begin(self, epoch: int, done: int) -> None:
        """Put the batches of an epoch's steps on the device; the first `done` of them are over."""
        setup, processes = self.setup, self.processes
        count, size = len(self.training.losses), setup.batch_size
        shuffled = order(np.arange(len(setup.train.rows)), seed=setup.recipe.seed, epoch=epoch)
        batches = shuffled[: count * size].reshape(count, size)[:, processes.rank :: processes.size]
        split = setup.train
        columns = [torch.from_numpy(values[batches]) for values in (split.rows, split.labels, split.weights)]
        if not self.tables:
            self.tables = [column.to(setup.place.device) for column in columns]
        else:  # a captured graph reads these very addresses
            for table, column in zip(self.tables, columns, strict=True):
                table.copy_(column)
        self.position.fill_(done)
        self.epoch.fill_(epoch)
        if setup.images.streams:
            self.close()
            ahead = list(split.rows[batches[done:]])
            self.ahead = read_ahead(setup.images.pixels, ahead, setup.place.device, setup.reporter)

    def step(self) -> None:
        """Do the next step."""
        if self.ahead is not None:
            batch = next(self.ahead)
            self.incoming = batch if self.incoming is None else self.incoming.copy_(batch)
        if self.capture is None or self.warm < WARM_UP:
            self.warm += 1
            self._eager()
        elif self.replay is None or self.checked < CHECKED:
            self._check(self.capture)
        else:
            self.replay()

    def close(self) -> None:
        """Stop reading batches ahead."""
        if self.ahead is not None:
            self.ahead.close()
            self.ahead = None

    def _eager(self) -> None:
        """A step without a graph; on the stream of the graph, which has its warm-up so."""
        if self.stream is None:
            self._run()
            return
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            self._run()
        current.wait_stream(self.stream)

    def _check(self, capture: Capture) -> None:
        """Do a step eagerly and, from the same beginning, by the graph, and give the graph up unless they agree.

        Raises:
            MachineError: they do not, and `--graph on` allows no other way.
            RuntimeError: the GPU is lost; or, with `--graph on`, has too little memory.
        """
        training, failure, tensors = self.training, None, changing(self.training, self.position)
        before = copied(tensors)
        self._eager()
        eager = copied(tensors)
        put_back(tensors, before)
        training.optimizer.zero_grad(set_to_none=True)  # a graph has gradients of its own
        try:
            self.replay = self.replay or capture(self._run)
            self.replay()
            reason = difference(before, eager, tensors, precision=self.setup.place.precision)
        except (RuntimeError, MachineError) as error:
            failure, reason = error, _first_line(error.__cause__ or error)
        if reason is None:
            self.checked += 1
            training.graph = "on" if self.checked == CHECKED else training.graph
            return
        self.capture = self.replay = None
        training.optimizer.zero_grad(set_to_none=True)
        if failure is not None:
            traceback.clear_frames(failure.__traceback__)  # they hold the tensors of the step that failed
        try:
            if self.stream is not None:
                torch.cuda.empty_cache()
            put_back(tensors, eager)
        except RuntimeError as error:  # a lost GPU refuses everything: what went wrong first is the reason
            raise (failure or error) from None
        self._give_up(reason, failure)

    def _give_up(self, reason: str, failure: Exception | None) -> None:
        """Say that it goes on without a graph, and record it; or with `--graph on` do not go on."""
        if self.setup.place.graph == "on":
            if failure is not None and is_out_of_memory(failure):
                raise failure
            raise MachineError(f"--graph on: {_UNFIT} ({reason}): run with --graph auto or off") from failure
        self.training.graph_reason = reason
        self.setup.reporter.warn(f"{_UNFIT} ({reason}): going on without it, which is correct but slower")

    def _run(self) -> None:
        try:
            self._compute()
        except Exception as error:
            if not type(error).__module__.startswith(COMPILER):
                raise
            raise MachineError(_compiler_failure(error)) from error

    def _compute(self) -> None:
        """Gather, augment, forward, backward, update; the batch's summed loss is kept with those of the epoch."""
        training, setup = self.training, self.setup
        rows, labels, weights = (table.index_select(0, self.position)[0] for table in self.tables)
        images = setup.images.gather(rows) if self.incoming is None else setup.images.scaled(self.incoming)
        batch = augment(images, rows, seed=setup.recipe.seed, epoch=self.epoch)
        with setup.place.autocast():
            logits = self.forward(batch.contiguous(memory_format=setup.place.memory_format))
        loss = weighted_cross_entropy(logits, labels, weights)
        training.optimizer.zero_grad(set_to_none=True)
        (loss / setup.batch_size).backward()  # type: ignore[no-untyped-call]
        total = loss.detach()
        self.processes.add([*self._gradients(), total])
        training.optimizer.step()
        training.losses.index_copy_(0, self.position, total.double()[None])
        self.position += 1

    def _gradients(self) -> list[Tensor]:
        """Every parameter's gradient, from this process's share of the batch."""
        parameters = self.training.net.parameters()
        return [parameter.grad for parameter in parameters if parameter.grad is not None]


def capture_for(setup: TrainingSetup, stream: torch.cuda.Stream | None) -> Capture | None:
    """How a step of this training is captured; None where every step runs eagerly.

    Processes exchange their gradients through libraries that have not been tried inside a graph here.
    """
    if stream is None or setup.place.graph == "off" or process_group().size > 1:
        return None
    return cuda_capture(stream)


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all trainings: torch keeps memory for every stream that there ever was."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _compiler_failure(error: Exception) -> str:
    reason = _first_line(error)
    # No user's name, home or temporary folder is asked for: a container may have none.
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR", "torchinductor_USER among the temporary files")
    return (
        f"torch.compile failed ({reason}): run with --compile off; "
        f"or, if a run was killed while it compiled, delete {cache}"
    )
