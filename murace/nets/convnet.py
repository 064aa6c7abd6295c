"""ConvNet, the paper's modified VGG (Table 4): seven pairs of 3x3 convolutions, each with bias and batch norm."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from murace.nets.learner import Learner, scaled

CHANNELS = (16, 32, 64, 128, 256, 512, 1024)
HIDDEN = (512, 256)


class ConvNet(Learner):
    """Table 4's convolutions.

    With the gap head the seventh pooling is left out, since averaging does its work, and the map stays 4x4 at 256
    pixels; the parameter count is then Table 2's 18,894,578. With the fc head it is Table 4 to the letter.
    """

    def __init__(self, *, width: float = 1.0, head: str = "gap", size: int = 256) -> None:
        super().__init__()
        channels = [1, *(scaled(count, width) for count in CHANNELS)]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [*_convolution(before, after), *_convolution(after, after), nn.MaxPool2d(2)]
        self.is_flat = head == "fc"
        self.trunk = nn.Sequential(*(layers if self.is_flat else layers[:-1]))
        if self.is_flat:
            cells = (size // 2 ** len(CHANNELS)) ** 2
            first, second = (scaled(count, width) for count in HIDDEN)
            self.head = nn.Sequential(
                nn.Flatten(),
                *(nn.Linear(channels[-1] * cells, first), nn.ReLU()),
                *(nn.Linear(first, second), nn.ReLU()),
                nn.Linear(second, 2),
            )
        else:
            self.head = nn.Linear(channels[-1], 2)

    def features(self, x: Tensor) -> Tensor:
        """The last feature map, [B, C, h, w]."""
        maps: Tensor = self.trunk(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 2]."""
        if not self.is_flat:
            return super().forward(x)
        maps = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            logits: Tensor = self.head(maps.float())
        return logits


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
