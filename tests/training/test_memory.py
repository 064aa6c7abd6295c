import re

import numpy as np
import pytest
import torch

from murace.config import Recipe
from murace.data.loading.batches import Images
from murace.errors import MachineError
from murace.nets import Learner, create
from murace.system.device import Place, free_memory
from murace.system.progress import Reporter
from murace.training import SplitArrays, TrainingSetup
from murace.training.resources import MARGIN, image_bytes, require_memory
from murace.vocabulary import LEARNERS

CPU = torch.device("cpu")


def setup(batch_size: int, precision: str = "fp32") -> TrainingSetup:
    rows = np.arange(5000)
    split = SplitArrays(rows, np.zeros(5000, np.int64), np.ones(5000, np.float32), rows)
    pixels = np.zeros((1, 64, 64), np.uint8)
    recipe = Recipe(batch_size=batch_size, precision=precision)
    return TrainingSetup(split, split, Images(pixels, rows, CPU), recipe, Place(CPU, precision), Reporter())


def shadow_of(name: str, width: float) -> Learner:
    with torch.device("meta"):
        return create(name, width=width, size=64)


@pytest.mark.parametrize("name", LEARNERS)
def test_an_images_bytes_are_what_autograd_keeps_of_it(name: str) -> None:
    """Against a plain count on real tensors, of a batch of another size."""
    net = create(name, width=0.1, size=64).train()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    shadow = shadow_of(name, width=0.1)
    reckoned = image_bytes(shadow, 64, Place(CPU, "fp32"))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = net(torch.rand(10, 1, 64, 64))
    weights = sum(parameter.nbytes for parameter in net.parameters())
    assert (sum(kept.values()) - weights) / 10 == pytest.approx(reckoned / MARGIN, rel=0.05)
    assert image_bytes(shadow, 64, Place(CPU, "bf16")) == reckoned / 2
    assert output.requires_grad


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does() -> None:
    net = shadow_of("resnet", width=0.25)
    with pytest.raises(MachineError) as refusal:
        require_memory(net, setup(4096), free=2 * 10**9)
    found = re.fullmatch(
        r"--batch-size 4096 needs about 9\.\d GB of memory and 2\.0 GB are free: --batch-size (\d+) would fit",
        str(refusal.value),
    )
    assert found, str(refusal.value)
    fits = int(found[1])
    assert 500 < fits < 1500
    require_memory(net, setup(fits), free=2 * 10**9)
    with pytest.raises(MachineError):
        require_memory(net, setup(fits + 1), free=2 * 10**9)


def test_where_nothing_fits_another_way_is_said_and_the_unknown_is_not_refused() -> None:
    net = shadow_of("resnet", width=0.25)
    with pytest.raises(MachineError, match="try smaller images or --width"):
        require_memory(net, setup(64), free=10**6)
    require_memory(net, setup(4096), free=None)


def test_free_memory_is_a_number_of_bytes_here() -> None:
    free = free_memory()
    assert free is None or 10**7 < free < 10**14
