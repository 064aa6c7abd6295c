"""DenseNet-169 with a one-channel stem and two outputs: torchvision's, 12,639,938 parameters."""

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import DenseNet as TorchvisionDenseNet

from murace.nets.learner import Learner, scaled

GROWTH = 32
BLOCKS = (6, 12, 32, 32)
STEM = 64


class DenseNet(Learner):
    """torchvision's densenet169; `width` scales its growth rate and its stem."""

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        stem = max(2, 2 * round(STEM * width / 2))  # the transitions halve the channels
        net = TorchvisionDenseNet(
            growth_rate=scaled(GROWTH, width), block_config=BLOCKS, num_init_features=stem, num_classes=2
        )
        net.features.conv0 = nn.Conv2d(1, stem, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(net.features.conv0.weight)
        self.trunk = net.features
        self.head = net.classifier

    def features(self, x: Tensor) -> Tensor:
        """The last feature map, [B, C, h, w]."""
        return F.relu(self.trunk(x), inplace=True)
