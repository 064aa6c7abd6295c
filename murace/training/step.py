"""One optimizer step: forward, backward and Adam's update; on a GPU captured as a CUDA graph and replayed."""

import functools
import os
import warnings
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from murace.data.loading.augment import augment
from murace.data.loading.batches import order
from murace.data.loading.stream import read_ahead
from murace.errors import MachineError
from murace.system.processes import process_group
from murace.training.loss import weighted_cross_entropy
from murace.training.state import Training, TrainingSetup

WARM_UP = 3  # steps before a graph is captured: lazy initialisation and cuDNN's search must be over
COMPILER = ("torch._dynamo", "torch._inductor", "triton")


class Stepper:
    """The steps of a training, epoch by epoch.

    Everything that a step reads lies on the device: tables of the images of each step, and a counter of the steps done.
    So on a GPU a step can become one CUDA graph: the first steps run eagerly, which warms up and counts like any other,
    then one is captured, and from there it is only replayed.
    """

    def __init__(self, training: Training, setup: TrainingSetup) -> None:
        place, self.processes = setup.place, process_group()
        self.training, self.setup = training, setup
        self.forward = torch.compile(training.net, dynamic=False) if place.compiled else training.net
        on_gpu = place.device.type == "cuda"
        # Processes exchange their gradients through libraries that have not been tried inside a graph here.
        self.may_capture = on_gpu and place.captured and self.processes.size == 1
        self.stream = _stream(place.device) if on_gpu else None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.warm = 0
        self.position = torch.zeros(1, dtype=torch.int64, device=place.device)
        self.epoch = torch.zeros((), dtype=torch.int64, device=place.device)
        self.tables: list[Tensor] = []
        self.ahead: Generator[Tensor, None, None] | None = None
        self.incoming: Tensor | None = None
        if on_gpu:
            torch.backends.cudnn.benchmark = True  # shapes never change here
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
            self.ahead = read_ahead(setup.images.pixels, list(split.rows[batches[done:]]), setup.place.device)

    def step(self) -> None:
        """Do the next step."""
        if self.ahead is not None:
            batch = next(self.ahead)
            self.incoming = batch if self.incoming is None else self.incoming.copy_(batch)
        if self.graph is not None:
            self.graph.replay()
        elif self.stream is None:
            self._run()
        elif self.may_capture and self.warm == WARM_UP:
            self._capture()
        else:
            self.warm += 1
            self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
            with torch.cuda.stream(self.stream):
                self._run()
            torch.cuda.current_stream(self.stream.device).wait_stream(self.stream)

    def close(self) -> None:
        """Stop reading batches ahead."""
        if self.ahead is not None:
            self.ahead.close()
            self.ahead = None

    def _capture(self) -> None:
        assert self.stream is not None
        device = self.stream.device
        self.training.optimizer.zero_grad(set_to_none=True)  # the graph has gradients of its own
        torch.cuda.synchronize(device)
        self.graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(device),  # else the first GPU would be touched, whichever this one is
            # thread-local: another thread may be reading ahead
            torch.cuda.graph(self.graph, stream=self.stream, capture_error_mode="thread_local"),
        ):
            self._run()
        self.graph.replay()

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


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One stream for all trainings: torch keeps memory for every stream that there ever was."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _compiler_failure(error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    # No user's name, home or temporary folder is asked for: a container may have none.
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR", "torchinductor_USER among the temporary files")
    return (
        f"torch.compile failed ({reason}): run with --compile off; "
        f"or, if a run was killed while it compiled, delete {cache}"
    )
