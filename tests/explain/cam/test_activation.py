import numpy as np
import pytest
import torch

from murace.errors import UsageError
from murace.explain.cam import activation_maps
from murace.nets import create
from murace.nets.trained import probability
from murace.vocabulary import LEARNERS

pytestmark = pytest.mark.kernels
# Two ways to the same number: in float64 they differed by 5e-13 at most, with kernels for AVX-512, AVX2 and neither.
CLOSE = {"rtol": 0, "atol": 1e-9}


@pytest.mark.parametrize("name", LEARNERS)
def test_the_maps_mean_and_the_heads_bias_are_the_log_odds(name: str) -> None:
    """Of a net in float32 too: what comes after its features is float64."""
    torch.manual_seed(0)
    net = create(name, width=0.25, size=128).eval()
    maps, log_odds = activation_maps(net, torch.rand(3, 1, 128, 128))
    normal, abnormal = net.head.bias.tolist()
    assert np.allclose(maps.mean(axis=(1, 2)) + (abnormal - normal), log_odds, **CLOSE)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", LEARNERS)
def test_the_log_odds_are_the_nets(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, width=0.25, size=128).eval()
    images = torch.rand(3, 1, 128, 128)
    _, log_odds = activation_maps(net, images)
    with torch.no_grad():
        logits = net(images)
    assert np.allclose(log_odds, (logits[:, 1] - logits[:, 0]).numpy(), **CLOSE)
    assert np.allclose(probability(log_odds), torch.softmax(logits, dim=1)[:, 1].numpy(), **CLOSE)


@pytest.mark.usefixtures("float64")
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
    assert np.allclose(maps[0], expected, **CLOSE)


def test_the_fc_head_has_no_map() -> None:
    net = create("convnet", width=0.05, head="fc", size=128)
    with pytest.raises(UsageError, match="--head gap"):
        activation_maps(net, torch.rand(1, 1, 128, 128))
