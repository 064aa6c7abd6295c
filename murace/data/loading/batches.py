"""Images as batches on the device: uint8 at rest, gathered by row, scaled to 0..1 where the net is."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from murace.data.loading.stream import read_ahead
from murace.data.store import Pixels
from murace.errors import DataError
from murace.system.failures import is_gpu_out_of_memory
from murace.system.progress import Reporter

FREE_SHARE = 0.6  # of the GPU's free memory that images may take; the nets need the rest
Rows = npt.NDArray[np.int64]


class Images:
    """Rows of the prepared array, resident on a GPU when they fit there, else read through the memory map.

    Args:
        pixels: uint8 [N, H, H].
        rows: the rows that will be asked for.
        device: where batches are wanted.
        reporter: is told where a GPU has no room for the images.
    """

    def __init__(self, pixels: Pixels, rows: Rows, device: torch.device, reporter: Reporter | None = None) -> None:
        self.pixels, self.device = pixels, device
        self.reporter = reporter or Reporter()
        self.resident: Tensor | None = None
        if device.type != "cuda":
            return
        needed = len(rows) * pixels[0].nbytes
        try:
            if _fits(needed, device):
                self._settle(rows)
        except RuntimeError as error:
            if not is_gpu_out_of_memory(error):
                raise
            self.resident = None
        if self.resident is None:
            self.reporter.warn_once(
                f"the images ({needed / 1e9:.1f} GB) do not fit into the GPU's memory: they are read from the disk, "
                "which may be slower"
            )

    def _settle(self, rows: Rows) -> None:
        """Copy the images onto the GPU."""
        pixels, device = self.pixels, self.device
        self.resident = torch.empty((len(rows), *pixels.shape[1:]), dtype=torch.uint8, device=device)
        for start in range(0, len(rows), 1024):
            part = torch.from_numpy(pixels[rows[start : start + 1024]])
            self.resident[start : start + len(part)] = part.to(device)
        self.place = torch.full((len(pixels),), -1, dtype=torch.long, device=device)
        self.place[torch.from_numpy(rows).to(device)] = torch.arange(len(rows), device=device)

    @property
    def streams(self) -> bool:
        """Whether batches come to a GPU from the memory map."""
        return self.resident is None and self.device.type == "cuda"

    def gather(self, rows: Tensor) -> Tensor:
        """The images of int64 `rows` [B] (on the device) as float32 [B, 1, H, H] in 0..1."""
        if self.resident is not None:
            return self.scaled(self.resident[self.place[rows]])
        return self.scaled(torch.from_numpy(self.pixels[rows.cpu().numpy()]).to(self.device))

    def batches(self, rows: Sequence[Rows]) -> Generator[Tensor, None, None]:
        """The images of each batch of rows, in order, as `gather` gives them; close it if you leave early."""
        if self.streams:
            with closing(read_ahead(self.pixels, rows, self.device, self.reporter)) as batches:
                yield from map(self.scaled, batches)
        else:
            yield from (self.gather(torch.from_numpy(batch).to(self.device)) for batch in rows)

    @staticmethod
    def scaled(batch: Tensor) -> Tensor:
        """Images at rest, uint8 [B, H, H], as a net takes them: float32 [B, 1, H, H] in 0..1."""
        return batch.unsqueeze(1).float().div_(255)


def _fits(num_bytes: int, device: torch.device) -> bool:
    torch.cuda.empty_cache()  # what an earlier net left cached is free for us
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes <= FREE_SHARE * free


def order(rows: Rows, *, seed: int, epoch: int) -> Rows:
    """The rows in the order of one epoch: a permutation keyed by (seed, epoch)."""
    return rows[np.random.default_rng([seed, epoch]).permutation(len(rows))]


def num_steps(num_images: int, batch_size: int) -> int:
    """Steps of one epoch: whole batches only, or one batch of all where there are fewer images than a batch.

    Raises:
        DataError: fewer than two images, which batch norm cannot use.
    """
    if num_images < 2:
        raise DataError(f"{num_images} training image(s): at least 2 are needed")
    return max(1, num_images // batch_size)


def sweep(rows: Rows, batch_size: int) -> Iterator[Rows]:
    """Every row once, in order, for evaluation."""
    for start in range(0, len(rows), batch_size):
        yield rows[start : start + batch_size]
