"""Passes of a net: as many images at once as there is memory for, however the net is asked."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from murace.data.loading.batches import Images
from murace.nets.forward import AT_ONCE, images_at_once, logits_of
from murace.nets.trained import TrainedNet
from murace.system.device import Place
from murace.system.progress import Reporter

SIZE, ROOM = 16, 5  # images that this GPU has memory for
PLACE = Place(torch.device("cpu"), "fp32")
PIXELS = np.random.default_rng(0).integers(0, 256, (23, SIZE, SIZE), dtype=np.uint8)


OUT_OF_MEMORY = torch.cuda.OutOfMemoryError("CUDA out of memory")
ITS_WORDS = (
    OUT_OF_MEMORY,
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
)


class Hungry(nn.Module):
    """Each image's mean and its negative; out of memory where more than `ROOM` come at once."""

    def __init__(self, room: int = ROOM, error: Exception = OUT_OF_MEMORY) -> None:
        super().__init__()
        self.room, self.error, self.passes = room, error, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.passes.append(len(images))
        if len(images) > self.room:
            raise self.error
        means = images.mean(dim=(1, 2, 3))
        return torch.stack([-means, means], dim=1)


def by_row(net: Hungry) -> np.ndarray:
    rows = np.arange(len(PIXELS))
    return logits_of(net, Images(PIXELS, rows, PLACE.device), rows, place=PLACE, reporter=Reporter()).numpy()


def by_picture(net: Hungry) -> np.ndarray:
    trained = TrainedNet("x", lambda: net, "", PLACE, SIZE, "squash")
    return trained.ask(lambda images: (net(images).double().numpy(),), PIXELS)[0]


@pytest.mark.parametrize("asked", [by_row, by_picture])
@pytest.mark.parametrize("error", ITS_WORDS, ids=repr)
def test_where_memory_is_too_small_half_as_many_go_through_at_once(
    asked, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AT_ONCE, "cpu", 16)
    net = Hungry(error=error)
    means = PIXELS.reshape(len(PIXELS), -1).mean(axis=1) / 255
    assert asked(net) == pytest.approx(np.stack([-means, means], axis=1), abs=1e-6)
    assert net.passes == [16, 8, 4, 4, 4, 4, 4, 3]


def test_how_many_went_through_is_remembered_for_that_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the memory runs out anew in every epoch."""
    monkeypatch.setitem(AT_ONCE, "cpu", 16)
    net, another = Hungry(), Hungry(room=16)
    by_row(net)
    net.passes.clear()
    by_row(net)
    assert net.passes == [4, 4, 4, 4, 4, 3]
    by_row(another)
    assert another.passes == [16, 7]


@pytest.mark.parametrize("asked", [by_row, by_picture])
def test_what_is_no_lack_of_memory_is_raised_at_once(asked) -> None:
    net = Hungry(error=torch.AcceleratorError("CUDA error: unspecified launch failure"))
    with pytest.raises(torch.AcceleratorError):
        asked(net)
    assert len(net.passes) == 1


@pytest.mark.parametrize("asked", [by_row, by_picture])
def test_where_not_even_one_fits_the_error_is_raised(asked) -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        asked(Hungry(room=0))


def test_fewer_of_larger_images_go_through_at_once() -> None:
    cpu = torch.device("cpu")
    assert [images_at_once(cpu, side**2) for side in (64, 256, 512, 4096)] == [32, 32, 8, 1]
