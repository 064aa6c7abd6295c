"""A trained net's forward passes, each over as many images as memory takes; logits of prepared images, by row."""

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from murace.data.loading.batches import Images, Rows, sweep
from murace.system.device import Place
from murace.system.failures import is_gpu_out_of_memory
from murace.system.processes import process_group
from murace.system.progress import Reporter

AT_ONCE = {"cpu": 32, "cuda": 128}  # images of `REFERENCE` pixels in one pass; fewer of larger ones: memory follows
REFERENCE = 256 * 256
Probabilities = npt.NDArray[np.float64]
T = TypeVar("T")
_FITTED: WeakKeyDictionary[object, int] = WeakKeyDictionary()  # net -> images in a pass, where fewer had to do


def images_at_once(device: torch.device, pixels: int) -> int:
    """How many images of so many pixels go through a net in one pass."""
    return max(1, AT_ONCE[device.type] * REFERENCE // max(REFERENCE, pixels))


def in_passes(answer: Callable[[int], T], at_once: int, *, of: object) -> T:
    """`answer(at_once)`; where a GPU has too little memory for so many images in a pass, with half of them, and so on.

    How many did go through is remembered for that net (`of`): it need not run out of memory in every epoch.

    Raises:
        RuntimeError: (torch's) there is too little for one image.
    """
    at_once = min(at_once, _FITTED.get(of, at_once))
    while True:
        try:
            return answer(at_once)
        except RuntimeError as error:
            if at_once == 1 or not is_gpu_out_of_memory(error):
                raise
        at_once //= 2
        _FITTED[of] = at_once
        torch.cuda.empty_cache()


def logits_of(net: nn.Module, images: Images, rows: Rows, *, place: Place, reporter: Reporter) -> Tensor:
    """Logits float64 [N, 2] on the CPU of `rows`, in their order; the net is left in evaluation mode.

    Of several processes each asks the net about its share and gets everybody's answers.

    Raises:
        Interrupted: a signal came between two batches.
    """
    processes = process_group()
    share = rows[processes.rank :: processes.size]
    at_once = images_at_once(place.device, images.pixels[0].size)
    processes.check(reporter)
    # All processes stop or none: before each batch that all of them have. On a GPU batches may shrink, and it is quick.
    shared = iter(range(len(rows) // processes.size // at_once if place.device.type == "cpu" else 0))

    def check() -> None:
        """Look for signals: alone, or before a shared batch together with the other processes."""
        if processes.size == 1:
            reporter.check()
        elif next(shared, None) is not None:
            processes.check(reporter)

    logits = in_passes(lambda size: _logits(net, images, share, size, place, check), at_once, of=net)
    return processes.collect(logits, len(rows))


@torch.no_grad()
def _logits(
    net: nn.Module, images: Images, rows: Rows, at_once: int, place: Place, check: Callable[[], None]
) -> Tensor:
    net.eval()
    parts = []
    with closing(images.batches(list(sweep(rows, at_once)))) as batches:
        for batch in batches:
            check()
            with place.autocast():
                parts.append(net(batch.contiguous(memory_format=place.memory_format)).double())
    return torch.cat(parts).cpu() if parts else torch.empty((0, 2), dtype=torch.float64)


def probabilities(logits: Tensor) -> Probabilities:
    """The abnormality probability of each pair of logits [N, 2]: sigmoid of their difference, float64 [N]."""
    result: Probabilities = torch.sigmoid(logits[:, 1] - logits[:, 0]).numpy()
    return result
