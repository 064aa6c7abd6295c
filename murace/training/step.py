"""One optimiser step, with everything it reads on the device, so that a GPU can replay it unattended."""

import functools
import getpass
import os
import tempfile
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
from murace.training.state import Setting, Training

WARM_UP = 3  # steps before a graph is captured: lazy initialisation and cuDNN's search must be over
COMPILER = ("torch._dynamo", "torch._inductor", "triton")


class Stepper:
    """The steps of a training, epoch by epoch.

    Which images a step takes stands in tables on the device, and a counter there says which line is next. So a step is
    the same sequence of operations with nothing from outside, and on a GPU it becomes one CUDA graph: first some steps
    as they are, which warm up and count like any other, then one is recorded, and from there it is only replayed.
    """

    def __init__(self, training: Training, setting: Setting) -> None:
        place, self.processes = setting.place, process_group()
        self.training, self.setting = training, setting
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
        self.feed: Generator[Tensor, None, None] | None = None
        self.incoming: Tensor | None = None
        if on_gpu:
            torch.backends.cudnn.benchmark = True  # shapes never change here
        if place.compiled:  # TF32 is not wanted: the sampling grid is a matrix product
            warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")

    def begin(self, epoch: int, done: int) -> None:
        """Lay out the steps of an epoch, of which `done` are over."""
        setting, processes = self.setting, self.processes
        count, size = len(self.training.losses), setting.batch_size
        everyone = order(np.arange(len(setting.train.rows)), seed=setting.recipe.seed, epoch=epoch)
        batches = everyone[: count * size].reshape(count, size)[:, processes.rank :: processes.size]
        part = setting.train
        columns = [torch.from_numpy(values[batches]) for values in (part.rows, part.labels, part.weights)]
        if not self.tables:
            self.tables = [column.to(setting.place.device) for column in columns]
        else:  # a captured graph reads these very addresses
            for table, column in zip(self.tables, columns, strict=True):
                table.copy_(column)
        self.position.fill_(done)
        self.epoch.fill_(epoch)
        if setting.images.streams:
            self.close()
            self.feed = read_ahead(setting.images.pixels, list(part.rows[batches[done:]]), setting.place.device)

    def step(self) -> None:
        """Do the next step."""
        if self.feed is not None:
            batch = next(self.feed)
            self.incoming = batch if self.incoming is None else self.incoming.copy_(batch)
        if self.graph is not None:
            self.graph.replay()
        elif self.stream is None:
            self._do()
        elif self.may_capture and self.warm == WARM_UP:
            self._capture()
        else:
            self.warm += 1
            self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
            with torch.cuda.stream(self.stream):
                self._do()
            torch.cuda.current_stream(self.stream.device).wait_stream(self.stream)

    def close(self) -> None:
        """End the reading ahead."""
        if self.feed is not None:
            self.feed.close()
            self.feed = None

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
            self._do()
        self.graph.replay()

    def _do(self) -> None:
        try:
            self._work()
        except Exception as error:
            if not type(error).__module__.startswith(COMPILER):
                raise
            raise MachineError(_compiler_story(error)) from error

    def _work(self) -> None:
        """Gather, augment, forward, backward, update; the summed loss goes into its place among the epoch's."""
        training, setting = self.training, self.setting
        rows, labels, weights = (table.index_select(0, self.position)[0] for table in self.tables)
        images = setting.images.gather(rows) if self.incoming is None else setting.images.scaled(self.incoming)
        batch = augment(images, rows, seed=setting.recipe.seed, epoch=self.epoch)
        with setting.place.autocast():
            logits = self.forward(batch.contiguous(memory_format=setting.place.memory_format))
        loss = weighted_cross_entropy(logits, labels, weights)
        training.optimizer.zero_grad(set_to_none=True)
        (loss / setting.batch_size).backward()  # type: ignore[no-untyped-call]
        total = loss.detach()
        self.processes.add([*self._gradients(), total])
        training.optimizer.step()
        training.losses.index_copy_(0, self.position, total.double()[None])
        self.position += 1

    def _gradients(self) -> list[Tensor]:
        """Every parameter's gradient; each process adds its share of the images."""
        parameters = self.training.net.parameters()
        return [parameter.grad for parameter in parameters if parameter.grad is not None]


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all trainings: torch keeps workspaces for every stream that there ever was."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _compiler_story(error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    cache = os.environ.get("TORCHINDUCTOR_CACHE_DIR", f"{tempfile.gettempdir()}/torchinductor_{getpass.getuser()}")
    return (
        f"torch.compile failed ({reason}): run with --compile off; "
        f"or, if a run was killed while it compiled, delete {cache}"
    )
