"""Grad-CAM (Selvaraju et al. 2017): the last feature map, weighted by how the score changes with each channel."""

import torch
from torch import Tensor

from murace.explain.cam.maps import Floats, Maps
from murace.nets import Learner


def grad_cam(net: Learner, images: Tensor) -> tuple[Maps, Floats]:
    """Weight the feature maps by the gradient of the log-odds; works with every head.

    Eq. 1, alpha_k = mean_ij dy/dA_kij, and eq. 2, sum_k alpha_k A_k, for the score y = w1 - w0, the log-odds. The sum
    is multiplied by the number of cells, and its ReLU is left out: what speaks for normal stays, with its sign. With
    the gap head the map then is the class activation map itself, in logits; with the fc head it is in logits to first
    order only, and its mean is not the log-odds.

    Args:
        net: a learner in evaluation mode.
        images: float [B, 1, H, W] in 0..1 on the net's device.

    Returns:
        Maps [B, h, w] in logits, and log-odds [B].
    """
    features, log_odds, gradient = score_gradient(net, images)
    weights = gradient.double().sum(dim=(2, 3))
    maps = torch.einsum("bc,bchw->bhw", weights, features.double())
    return maps.cpu().numpy(), log_odds.double().cpu().numpy()


def score_gradient(net: Learner, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The last feature map A [B, C, h, w], the log-odds y [B] and dy/dA, in fp32.

    The trunk runs without gradients, so that this takes hardly more memory than a forward pass.
    """
    net.eval()
    with torch.no_grad():
        features = net.features(images).float()
    with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
        features.requires_grad_(True)
        logits = net.head(features if getattr(net, "is_flat", False) else features.mean(dim=(2, 3)))
        log_odds = logits[:, 1] - logits[:, 0]
        (gradient,) = torch.autograd.grad(log_odds.sum(), features)
    return features.detach(), log_odds.detach(), gradient
