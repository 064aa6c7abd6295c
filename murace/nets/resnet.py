"""ResNet: 25 full pre-activation blocks of two kinds (paper, Fig. 4), 21,170,050 parameters.

The paper gives neither widths nor depths of the stages; these are our inference from the parameter count and the number
of blocks.
"""

from torch import Tensor, nn

from murace.nets.learner import Learner, scaled

STEM = 16
WIDTHS = (32, 64, 128, 256, 512)
DEPTHS = (6, 8, 2, 6, 3)


class Block(nn.Module):
    """BN-ReLU-Conv-BN-ReLU-Conv plus a shortcut: the identity, or a 1x1 projection of the pre-activated input."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.stride = stride
        self.projection = nn.Conv2d(before, after, 1) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, before, H, W] to [B, after, H/stride, W/stride]."""
        active = self.relu(self.norm1(x))
        # Every stride-th pixel, then 1x1: the same as a strided 1x1 convolution, whose backward pass corrupts memory in
        # oneDNN on a CPU, in channels-last with few channels (uxlfoundation/oneDNN issue 6035; seen with torch 2.15).
        shortcut = x if self.projection is None else self.projection(active[:, :, :: self.stride, :: self.stride])
        residual: Tensor = self.conv2(self.relu(self.norm2(self.conv1(active))))
        return residual + shortcut


class ResNet(Learner):
    """A 5x5 stem, five stages that each halve the map in their first block, and a final activation."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled(STEM, width)
        self.stem = nn.Sequential(nn.Conv2d(1, channels, 5, padding=2), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        blocks: list[nn.Module] = []
        for count, depth in zip(WIDTHS, DEPTHS, strict=True):
            after = scaled(count, width)
            blocks.append(Block(channels, after, stride=2))
            blocks += [Block(after, after, stride=1) for _ in range(depth - 1)]
            channels = after
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.head = nn.Linear(channels, 2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """The last feature map, [B, C, h, w]."""
        maps: Tensor = self.last(self.blocks(self.stem(x)))
        return maps
