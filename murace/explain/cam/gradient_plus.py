"""Grad-CAM++ (Chattopadhay et al. 2018): each place of a channel is weighted by itself."""

import torch
from torch import Tensor

from murace.explain.cam.gradient import score_gradient
from murace.explain.cam.maps import Floats, Maps
from murace.nets import Learner


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
