"""The base class of the three learners: `features`, global average pooling, and a linear head."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Learner(nn.Module, ABC):
    """A net with a feature map and a linear head: logits = head(mean over the map)."""

    head: nn.Module

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """The last feature map, [B, C, h, w], of images [B, 1, H, W] scaled to 0..1."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 2] for normal and abnormal."""
        maps = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # bf16 would leave the probabilities two digits
            logits: Tensor = self.head(maps.float().mean(dim=(2, 3)))
        return logits


def scaled(channels: int, width: float) -> int:
    """A number of channels times `width`, at least one."""
    return max(1, round(channels * width))
