"""A net that answers about new pictures: its weights, where it computes, and how pictures are brought to its size."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from murace.nets.learner import Learner
from murace.system.device import Place

AT_ONCE = {"cpu": 32, "cuda": 128}  # views at 256 pixels; fewer where they are larger, since memory follows
REFERENCE = 256 * 256
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Ask = Callable[[Tensor], tuple[Floats, ...]]


@dataclass(frozen=True)
class TrainedNet:
    """A trained net: its learner, how to load it, the SHA-256 of its weights, and how it sees pictures."""

    learner: str
    load: Callable[[], Learner]
    sha256: str
    place: Place
    size: int
    fit: str
    head: str = "gap"

    @property
    def views_at_once(self) -> int:
        """How many views go through the net in one pass."""
        return max(1, AT_ONCE[self.place.device.type] * REFERENCE // max(REFERENCE, self.size**2))

    @property
    def layout(self) -> torch.memory_format:
        """The layout in which a net answers fastest: on a CPU channels-last in fp32 too, by a tenth to a fifth."""
        return torch.channels_last if self.place.device.type == "cpu" else self.place.memory_format

    def net(self) -> Learner:
        """The net in its place, in evaluation mode."""
        net = self.load()
        self.place.put(net)
        net.to(memory_format=self.layout)
        return net.eval()

    def ask(self, ask: Ask, prepared: Bytes) -> tuple[Floats, ...]:
        """What `ask` says of pictures uint8 [V, size, size], V at least 1, in passes that fit into memory.

        `ask` is given float [B, 1, size, size] in 0..1 in this member's place; the first axis of what it returns is B.
        """
        at_once = self.views_at_once
        parts = [self._pass(ask, prepared[first : first + at_once]) for first in range(0, len(prepared), at_once)]
        return _joined(parts)

    def _pass(self, ask: Ask, prepared: Bytes) -> tuple[Floats, ...]:
        """One pass; where a GPU has too little memory, two of half the size."""
        try:
            images = torch.from_numpy(prepared).to(self.place.device).float().div(255)[:, None]
            with self.place.autocast():
                return ask(images.contiguous(memory_format=self.layout))
        except torch.cuda.OutOfMemoryError:
            if len(prepared) == 1:
                raise
        torch.cuda.empty_cache()
        middle = len(prepared) // 2
        return _joined([self._pass(ask, half) for half in (prepared[:middle], prepared[middle:])])


def _joined(parts: list[tuple[Floats, ...]]) -> tuple[Floats, ...]:
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
