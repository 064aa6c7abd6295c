import numpy as np
import pytest
import torch

from murace.errors import UsageError
from murace.explain.cam import activation_maps
from murace.nets import create
from murace.nets.trained import probability
from murace.vocabulary import LEARNERS


@pytest.mark.parametrize("name", LEARNERS)
def test_the_maps_mean_and_the_heads_bias_are_the_log_odds(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, width=0.25, size=128).eval()
    images = torch.rand(3, 1, 128, 128)
    maps, log_odds = activation_maps(net, images)
    with torch.no_grad():
        logits = net(images).double()
    assert np.allclose(log_odds, (logits[:, 1] - logits[:, 0]).numpy(), atol=1e-5)
    bias = float((net.head.bias[1] - net.head.bias[0]).detach())
    assert np.allclose(maps.mean(axis=(1, 2)) + bias, log_odds, atol=1e-9)
    assert np.allclose(probability(log_odds), torch.softmax(logits, dim=1)[:, 1].numpy(), atol=1e-6)


def test_the_map_is_the_gradient_map_of_a_gap_net() -> None:
    """Grad-CAM before its ReLU, times the number of cells, for the log-odds: an independent way to the same picture."""
    torch.manual_seed(1)
    net = create("resnet", width=0.25, size=128).eval()
    image = torch.rand(1, 1, 128, 128)
    maps, _ = activation_maps(net, image)
    features = net.features(image).detach().requires_grad_(True)
    logits = net.head(features.mean(dim=(2, 3)))
    (gradient,) = torch.autograd.grad(logits[0, 1] - logits[0, 0], features)
    cells = features.shape[2] * features.shape[3]
    expected = cells * (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1)[0].detach().numpy()
    assert np.allclose(maps[0], expected, atol=1e-5)


def test_the_fc_head_has_no_map() -> None:
    net = create("convnet", width=0.05, head="fc", size=128)
    with pytest.raises(UsageError, match="--head gap"):
        activation_maps(net, torch.rand(1, 1, 128, 128))
