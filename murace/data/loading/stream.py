"""Batches read ahead in the background, for images that do not fit on the GPU."""

from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from murace.data.store import Pixels
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead

DEPTH = 3  # batches that wait at most


def read_ahead(
    pixels: Pixels, batches: Sequence[npt.NDArray[np.int64]], device: torch.device
) -> Generator[Tensor, None, None]:
    """The images of each batch of rows, uint8 [B, H, H] on `device`, in order.

    A thread reads the next batches from the memory map while the device works on this one. They are read into
    page-locked memory, which goes over without waiting; torch uses it again only when that is done. What goes wrong in
    the thread is raised here; closing the iterator ends it.
    """

    def read(rows: npt.NDArray[np.int64]) -> Tensor:
        pages = torch.empty((len(rows), *pixels.shape[1:]), dtype=torch.uint8, pin_memory=device.type == "cuda")
        # "clip" lets numpy write straight into the memory; all rows are in range.
        np.take(pixels, rows, axis=0, out=pages.numpy(), mode="clip")
        return pages

    limit = DEPTH * max(map(len, batches), default=0) * pixels[0].nbytes
    with ReadAhead(read, batches, weigh=lambda pages: pages.nbytes, limit=limit, threads=1) as ahead:
        for pages in ahead.results(Reporter()):
            yield pages.to(device, non_blocking=True)
