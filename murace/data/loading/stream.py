"""Batches read ahead in the background, for images that do not fit on the GPU."""

from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from murace.data.store import Pixels
from murace.system.failures import is_out_of_memory
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead

DEPTH = 3  # batches that wait at most


def read_ahead(
    pixels: Pixels,
    batches: Sequence[npt.NDArray[np.int64]],
    device: torch.device,
    reporter: Reporter | None = None,
) -> Generator[Tensor, None, None]:
    """The images of each batch of rows, uint8 [B, H, H] on `device`, in order.

    A thread reads the next batches from the memory map while the device works on this one. They are read into
    page-locked memory, which goes over without waiting; torch uses it again only when that is done. Where the system
    refuses to lock so much, ordinary memory does, and the `reporter` is told. What goes wrong in the thread is raised
    here; closing the iterator ends it.
    """
    shape, is_locked = pixels.shape[1:], device.type == "cuda"

    def read(rows: npt.NDArray[np.int64]) -> Tensor:
        nonlocal is_locked
        pages, is_locked = _pages((len(rows), *shape), is_locked, reporter or Reporter())
        # "clip" lets numpy write straight into the memory; all rows are in range.
        np.take(pixels, rows, axis=0, out=pages.numpy(), mode="clip")
        return pages

    limit = DEPTH * max(map(len, batches), default=0) * pixels[0].nbytes
    with ReadAhead(read, batches, weigh=lambda pages: pages.nbytes, limit=limit, threads=1) as ahead:
        for pages in ahead.results(Reporter()):
            yield pages.to(device, non_blocking=True)


def _pages(shape: tuple[int, ...], is_locked: bool, reporter: Reporter) -> tuple[Tensor, bool]:
    """Memory for a batch, page-locked if it can be, and whether it is."""
    try:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=is_locked), is_locked
    except RuntimeError as error:
        if not is_locked or not is_out_of_memory(error):
            raise
    reporter.warn_once("the system locks no more memory (see ulimit -l): images go to the GPU more slowly")
    return torch.empty(shape, dtype=torch.uint8), False
