"""A trained net for pictures that were not prepared beforehand: its weights, where it computes, the size it takes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from murace.nets.forward import images_at_once, in_passes
from murace.nets.learner import Learner
from murace.system.device import Place

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Ask = Callable[[Tensor], tuple[Floats, ...]]


@dataclass(frozen=True)
class TrainedNet:
    """A trained net: its learner, how to load it, the SHA-256 of its weights, and how pictures are brought to it.

    Attributes:
        learner: the architecture's name.
        load: reads the weights, in evaluation mode.
        sha256: of the weights file.
        place: device and precision.
        size: side of the pictures that it takes, in pixels.
        fit: `squash` or `pad`, how a picture is brought to the square.
        head: `gap` or `fc`.
    """

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
        return images_at_once(self.place.device, self.size**2)

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

        `ask` is given float [B, 1, size, size] in 0..1 in this net's place; the first axis of what it returns is B.
        """

        def answer(at_once: int) -> tuple[Floats, ...]:
            parts = []
            for first in range(0, len(prepared), at_once):
                pictures = torch.from_numpy(prepared[first : first + at_once])
                images = pictures.to(self.place.device).float().div(255)[:, None]
                with self.place.autocast():
                    parts.append(ask(images.contiguous(memory_format=self.layout)))
            return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))

        return in_passes(answer, self.views_at_once, of=self)


def probability(log_odds: Floats) -> Floats:
    """The abnormality probability of log-odds."""
    result: Floats = torch.sigmoid(torch.from_numpy(log_odds)).numpy()
    return result
