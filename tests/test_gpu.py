"""What must hold on a CUDA device; run with `pytest -m gpu` where there is one."""

import numpy as np
import pandas as pd
import pytest
import torch

from murace.cam import activation_maps
from murace.config import Machine
from murace.data.augment import augment, draw
from murace.data.batches import Images
from murace.device import Place, choose, resolve_precision
from murace.errors import MachineError
from murace.forward import logits_of
from murace.nets import create
from murace.record import Wish
from murace.steps import train
from murace.vocabulary import LEARNERS
from murace.watch import Watch
from murace.workspace import Workspace
from tests.workshop import SIZE, tiny_config

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
GPU = Machine(gpu="0")
CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")


def pictures(count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, 1, SIZE, SIZE), dtype=np.float32))


def test_absent_means_the_first_gpu_and_one_too_many_is_refused() -> None:
    assert choose(Machine()) == (CUDA, None)
    with pytest.raises(MachineError, match="no such GPU"):
        choose(Machine(gpu=str(torch.cuda.device_count())))


def test_augmentation_draws_the_same_and_gives_the_same_pictures_as_on_the_cpu() -> None:
    rows = torch.arange(6)
    for ours, theirs in zip(draw(rows.to(CUDA), seed=3, epoch=2), draw(rows, seed=3, epoch=2), strict=True):
        assert torch.allclose(ours.cpu().float(), theirs.float(), atol=1e-6)
    there = augment(pictures().to(CUDA), rows.to(CUDA), seed=3, epoch=2)
    assert torch.allclose(there.cpu(), augment(pictures(), rows, seed=3, epoch=2), atol=1e-4)


def test_resident_and_streamed_images_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 8), dtype=np.uint8)
    rows = np.array([1, 4, 7, 8])
    resident = Images(pixels, rows, CUDA)
    monkeypatch.setattr("murace.data.batches._fits", lambda num_bytes, device: False)
    streamed = Images(pixels, rows, CUDA)
    assert resident.resident is not None
    assert streamed.resident is None
    wanted = torch.tensor([8, 1, 4], device=CUDA)
    assert torch.equal(resident.gather(wanted), streamed.gather(wanted))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_net_answers_as_on_the_cpu(name: str) -> None:
    torch.manual_seed(0)
    net = create(name, width=0.25, size=SIZE).eval()
    with torch.no_grad():
        expected = net(pictures())
    place = Place(CUDA, "fp32")
    place.put(net)
    pixels = (pictures()[:, 0] * 255).round().to(torch.uint8).numpy()
    rows = np.arange(6)
    logits = logits_of(net, Images(pixels, rows, CUDA), rows, place=place, watch=Watch())
    assert torch.allclose(
        logits.float(), expected, atol=0.05
    )  # the pictures are rounded to eight bits, TF32 is allowed
    maps, log_odds = activation_maps(net, pictures().to(CUDA))
    bias = float((net.head.bias[1] - net.head.bias[0]).detach())
    assert np.allclose(maps.mean(axis=(1, 2)) + bias, log_odds, atol=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", LEARNERS)
def test_training_learns_and_goes_on_where_it_stood(prepared: Workspace, name: str, precision: str) -> None:
    config = tiny_config(name, epochs=2, precision=precision)
    train.run(prepared, config, machine=GPU, wish=Wish(), watch=Watch())
    longer = tiny_config(name, epochs=6, precision=precision)
    done = train.run(prepared, longer, machine=GPU, wish=Wish(), watch=Watch())
    history = pd.read_csv(prepared.train(name).history)
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert done.info["precision"] == precision
    assert done.info["epochs"] == 6


def test_auto_is_bf16_on_hardware_that_has_it() -> None:
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    assert resolve_precision("auto", CUDA) == expected
