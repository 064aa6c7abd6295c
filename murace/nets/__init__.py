"""The three learners: one grey channel in, two logits out, and a last feature map that explains them.

Every net offers `features(x)`, the map before global average pooling, and, with the gap head, `head`, the linear layer
after it, so that a class activation map is one product of the two.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn

from murace.errors import UsageError
from murace.nets.convnet import ConvNet
from murace.nets.densenet import DenseNet
from murace.nets.learner import Learner
from murace.nets.resnet import ResNet
from murace.vocabulary import closest

__all__ = ["Learner", "count_parameters", "create", "outline", "smallest_size"]

_BUILDERS: dict[str, Callable[..., Learner]] = {"convnet": ConvNet, "resnet": ResNet, "densenet": DenseNet}
_HALVINGS = {"convnet": 6, "resnet": 5, "densenet": 5}


def create(name: str, *, width: float = 1.0, head: str = "gap", size: int = 256) -> Learner:
    """Build a learner with fresh weights (from torch's global generator).

    Args:
        name: `convnet`, `resnet` or `densenet`.
        width: scales the number of channels; 1 is the paper's.
        head: `gap` (global average pooling and one linear layer), or `fc`, convnet's flatten head of Table 4.
        size: side of the square input in pixels.

    Raises:
        UsageError: unknown name or head, or an input too small for this net.
    """
    if name not in _BUILDERS:
        raise UsageError(f"unknown learner '{name}'{closest(name, _BUILDERS)}")
    if head != "gap" and (name, head) != ("convnet", "fc"):
        raise UsageError(f"{name} has no head '{head}': gap is every learner's, fc is convnet's alone")
    least = smallest_size(name, head=head)
    if size < least:
        raise UsageError(f"{name} halves its input too often for {size} pixels: the smallest size is {least}")
    if not 0 < width <= 16:
        raise UsageError(f"--width must be above 0 and at most 16, not {width}")
    return ConvNet(width=width, head=head, size=size) if name == "convnet" else _BUILDERS[name](width=width)


@lru_cache(maxsize=16)
def outline(name: str, *, width: float = 1.0, head: str = "gap", size: int = 256) -> Learner:
    """The net of that form on the meta device, where tensors have a shape and no content: it takes no memory.

    Drawing one takes longer than building a net, so there is one for all who ask; it is not to be changed.

    Raises:
        UsageError: see `create`.
    """
    with torch.device("meta"):
        return create(name, width=width, head=head, size=size)


def smallest_size(name: str, *, head: str = "gap") -> int:
    """The smallest input side in pixels whose last feature map still has one cell."""
    return 1 << (_HALVINGS[name] + (head == "fc"))


def count_parameters(net: nn.Module) -> tuple[int, int]:
    """Total and trainable parameters.

    The total counts batch norm's running mean and variance too (4 numbers a channel), as Keras and the paper's
    Table 2 do.
    """
    trainable = sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
    running = sum(buffer.numel() for name, buffer in net.named_buffers() if "running_" in name)
    return sum(parameter.numel() for parameter in net.parameters()) + running, trainable
