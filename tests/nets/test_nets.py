import pytest
import torch

from murace.errors import UsageError
from murace.nets import count_parameters, create, smallest_size
from murace.nets.resnet import Block
from murace.report.sections.paper import paper_table
from murace.vocabulary import LEARNERS

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize("name", LEARNERS)
def test_parameters_of_table_2(name: str) -> None:
    expected = int(paper_table(2).set_index("learner").loc[name, "parameters"])
    assert count_parameters(create(name))[0] == expected


def test_fc_head_is_table_4_to_the_letter() -> None:
    assert count_parameters(create("convnet", head="fc"))[0] == 21_122_034


def test_resnet_has_25_blocks_of_two_kinds() -> None:
    blocks = [module for module in create("resnet").modules() if isinstance(module, Block)]
    assert len(blocks) == 25
    assert sum(block.projection is not None for block in blocks) == 5


@pytest.mark.parametrize(("name", "cells"), [("convnet", 4), ("resnet", 8), ("densenet", 8)])
def test_last_map_at_the_papers_size(name: str, cells: int) -> None:
    net = create(name, width=0.1).eval()
    with torch.no_grad():
        assert net.features(torch.zeros(1, 1, 256, 256)).shape[2:] == (cells, cells)


@pytest.mark.parametrize("head", ["gap", "fc"])
@pytest.mark.parametrize("name", LEARNERS)
def test_smallest_size_works_and_one_less_is_refused_with_that_number(name: str, head: str) -> None:
    if head == "fc" and name != "convnet":
        with pytest.raises(UsageError, match="convnet's alone"):
            create(name, head=head)
        return
    least = smallest_size(name, head=head)
    net = create(name, width=0.05, head=head, size=least)
    assert net(torch.rand(2, 1, least, least)).shape == (2, 2)
    with pytest.raises(UsageError, match=f"smallest size is {least}"):
        create(name, head=head, size=least - 1)


@pytest.mark.parametrize("name", LEARNERS)
def test_odd_sizes_and_narrow_widths_train(name: str) -> None:
    net = create(name, width=0.05, size=101)
    net(torch.rand(2, 1, 101, 101)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_an_unknown_learner_gets_the_closest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'resnet'"):
        create("resnett")


def test_the_projection_equals_a_strided_1x1_convolution() -> None:
    block = Block(3, 5, stride=2)
    x = torch.rand(2, 3, 9, 9)
    assert block.projection is not None
    strided = torch.nn.functional.conv2d(x, block.projection.weight, block.projection.bias, stride=2)
    assert torch.allclose(block.projection(x[:, :, ::2, ::2]), strided, atol=1e-6)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LEARNERS)
def test_training_steps_in_channels_last_survive_narrow_widths(name: str, precision: torch.dtype) -> None:
    """oneDNN once corrupted memory here (uxlfoundation/oneDNN issue 6035)."""
    net = create(name, width=0.25, size=64).to(memory_format=torch.channels_last)
    for _ in range(3):
        with torch.autocast("cpu", dtype=precision, enabled=precision is torch.bfloat16):
            logits = net(torch.rand(4, 1, 64, 64).contiguous(memory_format=torch.channels_last))
        assert logits.dtype is torch.float32  # the head stays in fp32: bf16 would leave probabilities two digits
        logits.square().sum().backward()
    assert torch.isfinite(logits).all()
