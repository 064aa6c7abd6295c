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


def grad_cam_plus(net: Learner, images: Tensor) -> tuple[Maps, Floats]:
    """Weight the feature maps by the positive gradients, each divided by how often its channel is active.

    With y = exp(s), s the log-odds and g = ds/dA (linear in A near a point, so that its second derivative is zero):
    alpha = g^2 / (2 g^2 + sum_ab A_ab g^3) (eq. 19), w_k = sum_ij alpha relu(exp(s) g) (eq. 8 and 10), map =
    relu(sum_k w_k A_k) (eq. 11). The factor exp(s) is the same at every place and is left out.

    The map has no unit and says nothing of what speaks for normal: each is divided by its own maximum.

    Args:
        net: a learner in evaluation mode.
        images: float [B, 1, H, W] in 0..1 on the net's device.

    Returns:
        Maps [B, h, w] from 0 to 1 (all 0 where nothing speaks for abnormal), and log-odds [B].
    """
    features, log_odds, gradient = score_gradient(net, images)
    active, slope = features.double(), gradient.double()
    below = 2 * slope**2 + active.sum(dim=(2, 3), keepdim=True) * slope**3
    alpha = torch.where(below != 0, slope**2 / torch.where(below != 0, below, 1), 0)
    weights = (alpha * slope.clamp(min=0)).sum(dim=(2, 3))
    maps = torch.einsum("bc,bchw->bhw", weights, active).clamp(min=0)
    highest = maps.amax(dim=(1, 2), keepdim=True)
    maps = torch.where(highest > 0, maps / torch.where(highest > 0, highest, 1), maps)
    return maps.cpu().numpy(), log_odds.double().cpu().numpy()
