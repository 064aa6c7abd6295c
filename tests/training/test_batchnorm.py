import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from murace.nets import create
from murace.system.processes import ProcessGroup, process_group
from murace.training.batchnorm import GlobalBatchNorm, synchronise
from murace.vocabulary import LEARNERS
from tests.processes import together

Found = dict[str, npt.NDArray[np.float32]]
CPU = torch.device("cpu")
pytestmark = pytest.mark.kernels


def batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Seven images with a large mean, which a variance from squares would not survive; and weights of the outputs."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, 4, 5, generator=generator) * torch.tensor([0.1, 1.0, 9.0])[None, :, None, None] + 5
    return x.to(dtype), torch.randn(7, 3, 4, 5, generator=generator)


def through(norm: nn.BatchNorm2d, share: slice, dtype: torch.dtype) -> Found:
    """Two training passes and one in evaluation; gradients are this process's own, added up afterwards."""
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, -2.0, 0.5]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    x, weights = (part[share] for part in batch(dtype))
    x.requires_grad_()
    norm(x * 2)
    y = norm(x)
    (y.float() * weights).sum().backward()
    gradients = [norm.weight.grad.clone(), norm.bias.grad.clone()]
    process_group().add(gradients)
    norm.eval()
    found = {
        "y": process_group().collect(y.detach().float(), 7),
        "dx": process_group().collect(x.grad.float(), 7),
        "dweight": gradients[0],
        "dbias": gradients[1],
        "mean": norm.running_mean,
        "var": norm.running_var,
        "evaluated": process_group().collect(norm(x).detach().float(), 7),
    }
    return {name: value.numpy() for name, value in found.items()}  # tensors do not travel between processes


def shared(dtype: torch.dtype) -> Found:
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(3))
    synchronise(net, process_group(), CPU)
    assert type(net[0]) is GlobalBatchNorm
    return through(net[0], slice(process_group().rank, None, process_group().size), dtype)


@pytest.mark.parametrize("count", [2, 3])
def test_statistics_and_gradients_are_those_of_the_whole_batch(count: int) -> None:
    expected = through(nn.BatchNorm2d(3), slice(None), torch.float32)
    for answer in together(count, shared, torch.float32):
        for name, value in expected.items():
            np.testing.assert_allclose(answer[name], value, rtol=2e-5, atol=2e-5, err_msg=name)


def test_bf16_comes_back_as_bf16_and_close() -> None:
    expected = through(nn.BatchNorm2d(3), slice(None), torch.bfloat16)
    answer = together(2, shared, torch.bfloat16)[0]
    assert np.allclose(answer["y"], expected["y"], atol=0.05)
    assert np.allclose(answer["mean"], expected["mean"], rtol=1e-3)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_synchronised_net_keeps_its_names_parameters_and_answers(name: str) -> None:
    net = create(name, width=0.1, size=64)
    before = {key: value.data_ptr() for key, value in net.state_dict().items()}
    order = [key for key, _ in net.named_parameters()]
    net.eval()
    expected = net(torch.ones(1, 1, 64, 64))
    synchronise(net, ProcessGroup(size=2), CPU)
    assert {key: value.data_ptr() for key, value in net.state_dict().items()} == before
    assert [key for key, _ in net.named_parameters()] == order
    assert not any(type(module) is nn.BatchNorm2d for module in net.modules())
    assert torch.equal(net.eval()(torch.ones(1, 1, 64, 64)), expected)


def test_alone_a_net_is_left_as_it_is() -> None:
    net = create("convnet", width=0.1, size=64)
    synchronise(net, ProcessGroup(), CPU)
    assert not any(type(module) is GlobalBatchNorm for module in net.modules())
