"""A net that has learnt nothing (Adebayo et al. 2018): a map that points as well without training says nothing."""

from copy import deepcopy

import numpy as np
import torch
from torch import nn

from murace.nets import Learner

LAYERS = (nn.Conv2d, nn.Linear)


def randomised(net: Learner, seed: int) -> Learner:
    """A copy of a net, its weights drawn anew: normal, of variance 2 / fan-in (He et al. 2015), biases zero.

    Batch norm is as before any training. The same seed gives the same weights on every machine.
    """
    fresh = deepcopy(net)
    generator = np.random.default_rng([seed, 0xCA])
    with torch.no_grad():
        for module in fresh.modules():
            if isinstance(module, LAYERS):
                shape = tuple(module.weight.shape)
                deviation = (2 / np.prod(shape[1:])) ** 0.5
                drawn = generator.normal(scale=deviation, size=shape).astype(np.float32)
                module.weight.copy_(torch.from_numpy(drawn))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
    return fresh.eval()
