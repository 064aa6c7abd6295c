import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from murace.explain.cam import activation_maps, grad_cam, grad_cam_plus
from murace.nets import Learner, create
from murace.vocabulary import LEARNERS
from tests.explain.cam.test_activation import CLOSE

pytestmark = pytest.mark.kernels
NETS = [*((name, "gap") for name in LEARNERS), ("convnet", "fc")]


class Hooked(nn.Module):
    """A net whose last feature map is a layer's output, and whose output is the log-odds."""

    def __init__(self, net: Learner) -> None:
        super().__init__()
        self.net, self.last = net, nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        features = self.last(self.net.features(images))
        logits = self.net.head(features if getattr(self.net, "is_flat", False) else features.mean(dim=(2, 3)))
        return logits[:, 1] - logits[:, 0]


def made(name: str, head: str) -> tuple[Learner, Tensor]:
    torch.manual_seed(3)
    size = {"convnet": 128, "fc": 256}.get(head if head == "fc" else name, 64)  # four cells each
    net = create(name, width=0.1, head=head, size=size).eval()
    with torch.no_grad():
        for module in net.modules():  # a net that has learnt: running statistics of pictures, biases that are not zero
            if isinstance(module, nn.BatchNorm2d):
                module.bias.uniform_(-0.2, 0.5)
    return net, torch.rand(2, 1, size, size)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "head"), NETS)
def test_grad_cam_is_captums_times_the_cells_before_its_relu(name: str, head: str) -> None:
    net, images = made(name, head)
    maps, log_odds = grad_cam(net, images)
    hooked = Hooked(net)
    captum = LayerGradCam(hooked, hooked.last)
    for cut in (False, True):
        expected = captum.attribute(images, relu_attributions=cut).detach().numpy()[:, 0] * maps[0].size
        found = np.clip(maps, 0, None) if cut else maps
        assert np.allclose(found, expected, **CLOSE)
    with torch.no_grad():
        logits = net(images)
    assert np.allclose(log_odds, (logits[:, 1] - logits[:, 0]).numpy(), **CLOSE)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", LEARNERS)
def test_grad_cam_of_a_gap_net_is_its_class_activation_map(name: str) -> None:
    net, images = made(name, "gap")
    for found, expected in zip(grad_cam(net, images), activation_maps(net, images), strict=True):
        assert np.allclose(found, expected, **CLOSE)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("name", "head"), NETS)
def test_grad_cam_plus_is_what_the_derivatives_of_the_exponential_say(name: str, head: str) -> None:
    """Eq. 10 to 19 with the second and third derivatives of exp(score), cell by cell, by differentiating again."""
    net, images = made(name, head)
    maps, _ = grad_cam_plus(net, images)
    features = net.features(images)[:1].detach().double()
    weights = []
    hooked = Hooked(net).double()
    for channel in range(features.shape[1]):
        inside = torch.zeros(1)
        for cell in np.ndindex(*features.shape[2:]):
            first, second, third = derivatives(hooked, features, (0, channel, *cell))
            below = 2 * second + features[0, channel].sum() * third
            alpha = second / below if below != 0 else torch.zeros(())
            inside = inside + alpha * first.clamp(min=0)
        weights.append(inside)
    drawn = (torch.cat(weights)[:, None, None] * features[0]).sum(dim=0).clamp(min=0).detach().numpy()
    if drawn.max() > 0:
        drawn = drawn / drawn.max()
    assert np.allclose(maps[0], drawn, **CLOSE)
    assert maps.max() <= 1


def derivatives(hooked: Hooked, features: Tensor, cell: tuple[int, ...]) -> list[Tensor]:
    """The first three derivatives of exp(log-odds) by one cell of the feature map, but for a common factor."""
    moved = features[cell].clone().requires_grad_(True)
    mask = torch.zeros_like(features)
    mask[cell] = 1
    varied = features * (1 - mask) + moved * mask
    flat = getattr(hooked.net, "is_flat", False)
    logits = hooked.net.head(varied if flat else varied.mean(dim=(2, 3)))
    score = logits[0, 1] - logits[0, 0]
    value, found = torch.exp(score - score.detach()), []
    for _ in range(3):
        (value,) = torch.autograd.grad(value, moved, create_graph=True)
        found.append(value)
    return found


def test_nothing_for_abnormal_is_a_map_of_zeros_without_a_warning() -> None:
    net, images = made("resnet", "gap")
    with torch.no_grad():
        net.head.weight[1] = net.head.weight[0] - 1  # every feature speaks for normal
    maps, _ = grad_cam_plus(net, images)
    assert not maps.any()


def test_gradients_are_asked_for_where_none_are_kept_and_leave_none_behind() -> None:
    net, images = made("convnet", "gap")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        maps, _ = grad_cam(net, images)
    assert maps.dtype == np.float64
    assert all(parameter.grad is None for parameter in net.parameters())
    assert np.allclose(maps, grad_cam(net, images)[0], atol=0.05 * np.abs(maps).max())
