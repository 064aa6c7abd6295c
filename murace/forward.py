"""One pass of a net over images: the only place where a trained net is asked for probabilities."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from murace.data.batches import Images, Rows, sweep
from murace.device import Place
from murace.watch import Watch

BATCH_SIZES = {"cpu": 32, "cuda": 128}  # at 256 pixels; fewer where images are larger, since memory follows
REFERENCE = 256 * 256
Probabilities = npt.NDArray[np.float64]


@torch.no_grad()
def logits_of(net: nn.Module, images: Images, rows: Rows, *, place: Place, watch: Watch) -> Tensor:
    """Logits float64 [N, 2] on the CPU of `rows`, in their order; the net is left in evaluation mode.

    Raises:
        Interrupted: a signal came between two batches.
    """
    net.eval()
    parts = []
    batch_size = max(1, BATCH_SIZES[place.device.type] * REFERENCE // max(REFERENCE, images.pixels[0].size))
    for chunk in sweep(rows, batch_size):
        watch.check()
        batch = images.gather(torch.from_numpy(chunk).to(place.device)).contiguous(memory_format=place.memory_format)
        with place.autocast():
            parts.append(net(batch).double())
    return torch.cat(parts).cpu() if parts else torch.empty((0, 2), dtype=torch.float64)


def probabilities(logits: Tensor) -> Probabilities:
    """The abnormality probability of each pair of logits [N, 2]: sigmoid of their difference, float64 [N]."""
    result: Probabilities = torch.sigmoid(logits[:, 1] - logits[:, 0]).numpy()
    return result
