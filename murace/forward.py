"""One pass of a net over images: the only place where a trained net is asked for probabilities."""

from contextlib import closing

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from murace.data.batches import Images, Rows, sweep
from murace.device import Place
from murace.watch import Watch
from murace.world import current

BATCH_SIZES = {"cpu": 32, "cuda": 512}  # at 256 pixels; fewer where images are larger, since memory follows
REFERENCE = 256 * 256
Probabilities = npt.NDArray[np.float64]


def logits_of(net: nn.Module, images: Images, rows: Rows, *, place: Place, watch: Watch) -> Tensor:
    """Logits float64 [N, 2] on the CPU of `rows`, in their order; the net is left in evaluation mode.

    Of several processes each asks the net about its share and gets everybody's answers. A GPU is given as many images
    at once as its memory takes.

    Raises:
        Interrupted: a signal came between two batches.
    """
    world = current()
    share = rows[world.rank :: world.size]
    batch_size = max(1, BATCH_SIZES[place.device.type] * REFERENCE // max(REFERENCE, images.pixels[0].size))
    if world.size > 1:  # all stop or none; between batches they do not wait for each other
        watch.signum = world.first_signal(watch.signum)
        watch.check()
        watch = Watch()
    while True:
        try:
            return world.collect(_ask(net, images, share, batch_size, place, watch), len(rows))
        except torch.cuda.OutOfMemoryError:
            if batch_size == 1:
                raise
        batch_size //= 2
        torch.cuda.empty_cache()


@torch.no_grad()
def _ask(net: nn.Module, images: Images, rows: Rows, batch_size: int, place: Place, watch: Watch) -> Tensor:
    net.eval()
    parts = []
    with closing(images.batches(list(sweep(rows, batch_size)))) as batches:
        for batch in batches:
            watch.check()
            with place.autocast():
                parts.append(net(batch.contiguous(memory_format=place.memory_format)).double())
    return torch.cat(parts).cpu() if parts else torch.empty((0, 2), dtype=torch.float64)


def probabilities(logits: Tensor) -> Probabilities:
    """The abnormality probability of each pair of logits [N, 2]: sigmoid of their difference, float64 [N]."""
    result: Probabilities = torch.sigmoid(logits[:, 1] - logits[:, 0]).numpy()
    return result
