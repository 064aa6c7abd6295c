"""One pass of a net over images: the only place where a trained net is asked for probabilities."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from murace.data.loading.batches import Images, Rows, sweep
from murace.system.device import Place
from murace.system.processes import ProcessGroup, process_group
from murace.system.progress import Reporter

BATCH_SIZES = {"cpu": 32, "cuda": 512}  # at 256 pixels; fewer where images are larger, since memory follows
REFERENCE = 256 * 256
Probabilities = npt.NDArray[np.float64]


def logits_of(net: nn.Module, images: Images, rows: Rows, *, place: Place, reporter: Reporter) -> Tensor:
    """Logits float64 [N, 2] on the CPU of `rows`, in their order; the net is left in evaluation mode.

    Of several processes each asks the net about its share and gets everybody's answers. A GPU is given as many images
    at once as its memory takes.

    Raises:
        Interrupted: a signal came between two batches.
    """
    processes = process_group()
    share = rows[processes.rank :: processes.size]
    batch_size = max(1, BATCH_SIZES[place.device.type] * REFERENCE // max(REFERENCE, images.pixels[0].size))
    processes.check(reporter)
    # All processes stop or none: before each batch that all of them have. On a GPU batches may shrink, and it is quick.
    shared = len(rows) // processes.size // batch_size if place.device.type == "cpu" else 0
    while True:
        try:
            logits = _ask(net, images, share, batch_size, place, _Listener(reporter, processes, shared))
            return processes.collect(logits, len(rows))
        except torch.cuda.OutOfMemoryError:
            if batch_size == 1:
                raise
        batch_size //= 2
        torch.cuda.empty_cache()


@dataclass
class _Listener:
    """Hears signals, with the other processes `shared` times."""

    reporter: Reporter
    processes: ProcessGroup
    shared: int

    def check(self) -> None:
        if self.processes.size == 1:
            self.reporter.check()
        elif self.shared > 0:
            self.shared -= 1
            self.processes.check(self.reporter)


@torch.no_grad()
def _ask(net: nn.Module, images: Images, rows: Rows, batch_size: int, place: Place, listener: _Listener) -> Tensor:
    net.eval()
    parts = []
    with closing(images.batches(list(sweep(rows, batch_size)))) as batches:
        for batch in batches:
            listener.check()
            with place.autocast():
                parts.append(net(batch.contiguous(memory_format=place.memory_format)).double())
    return torch.cat(parts).cpu() if parts else torch.empty((0, 2), dtype=torch.float64)


def probabilities(logits: Tensor) -> Probabilities:
    """The abnormality probability of each pair of logits [N, 2]: sigmoid of their difference, float64 [N]."""
    result: Probabilities = torch.sigmoid(logits[:, 1] - logits[:, 0]).numpy()
    return result
