"""Class activation maps (Zhou et al. 2016; the paper's Fig. 3): head weights times last feature map, no gradient."""

import torch
from torch import Tensor, nn

from murace.errors import UsageError
from murace.explain.cam.maps import Floats, Maps
from murace.nets import Learner

NO_MAP = "a net with --head fc has no class activation map; train with --head gap to draw one"


@torch.no_grad()
def activation_maps(net: Learner, images: Tensor) -> tuple[Maps, Floats]:
    """One forward pass gives the maps and the log-odds of the abnormality probability.

    map = (w1 - w0) . features, so that mean(map) + (b1 - b0) is the log-odds: the map says, cell by cell, how much
    each place speaks for abnormal.

    Args:
        net: a learner with the gap head, in evaluation mode.
        images: float [B, 1, H, W] in 0..1 on the net's device.

    Returns:
        Maps [B, h, w] in logits, and log-odds [B].

    Raises:
        UsageError: the head is not one linear layer, so that there is no such map.
    """
    if not isinstance(net.head, nn.Linear) or getattr(net, "is_flat", False):
        raise UsageError(NO_MAP)
    net.eval()
    features = net.features(images).double()
    weight, bias = net.head.weight.double(), net.head.bias.double()
    maps = torch.einsum("c,bchw->bhw", weight[1] - weight[0], features)
    log_odds = maps.mean(dim=(1, 2)) + (bias[1] - bias[0])
    return maps.cpu().numpy(), log_odds.cpu().numpy()
