import pytest
import torch
from torch import nn

from murace.explain.pointing.randomised import randomised
from murace.nets import create
from murace.vocabulary import LEARNERS


@pytest.mark.parametrize("name", ["convnet", "resnet"])
def test_nothing_of_the_trained_weights_is_left_and_the_seed_decides(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, width=0.1, size=128)
    other = create(name, width=0.1, size=128)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(3.0)
            module.bias.data.fill_(1.0)
    kept = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    state = torch.random.get_rng_state()
    fresh, same, again = (randomised(one, seed) for one, seed in ((net, 0), (other, 0), (net, 1)))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, kept[key]) for key, tensor in net.state_dict().items())
    for key, tensor in fresh.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])  # whatever was there before
        if tensor.dim() > 1:
            assert not torch.equal(tensor, kept[key])
            assert not torch.equal(tensor, again.state_dict()[key])


@pytest.mark.parametrize("name", LEARNERS)
def test_its_answer_is_finite_and_depends_on_the_picture(name: str) -> None:
    net = randomised(create(name, width=0.25, size=128), 0)
    with torch.no_grad():
        first, second = net(torch.stack([torch.zeros(1, 128, 128), torch.rand(1, 128, 128)]))
    assert torch.isfinite(torch.stack([first, second])).all()
    assert (first - second).abs().max() > 1e-3
