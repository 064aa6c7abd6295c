"""What must hold on a CUDA device; run with `pytest -m gpu` where there is one."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from murace.config import Machine, Recipe, TrainConfig
from murace.data.loading.augment import augment, draw
from murace.data.loading.batches import Images
from murace.errors import Interrupted, MachineError
from murace.explain.cam import activation_maps
from murace.nets import create
from murace.nets.forward import logits_of
from murace.steps.train import step as train
from murace.system.device import Place, choose, resolve_precision
from murace.system.progress import Reporter
from murace.training.step import Stepper
from murace.vocabulary import LEARNERS
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.steps.test_train import StopAfter
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
    monkeypatch.setattr("murace.data.loading.batches._fits", lambda num_bytes, device: False)
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
        expected = net((pictures() * 255).round() / 255)
    place = Place(CUDA, "fp32")
    place.put(net)
    pixels = (pictures()[:, 0] * 255).round().to(torch.uint8).numpy()
    rows = np.arange(6)
    logits = logits_of(net, Images(pixels, rows, CUDA), rows, place=place, reporter=Reporter())
    largest = max(1.0, float(expected.abs().max()))  # a fresh resnet's logits are in the hundreds
    assert torch.allclose(logits.float(), expected, atol=0.02 * largest)  # TF32 is allowed
    maps, log_odds = activation_maps(net, pictures().to(CUDA))
    bias = float((net.head.bias[1] - net.head.bias[0]).detach())
    assert np.allclose(maps.mean(axis=(1, 2)) + bias, log_odds, atol=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", LEARNERS)
def test_training_learns_and_goes_on_where_it_stood(prepared: Workspace, name: str, precision: str) -> None:
    config = tiny_config(name, epochs=2, precision=precision)
    train.run(prepared, config, machine=GPU, rerun=Rerun(), reporter=Reporter())
    longer = tiny_config(name, epochs=6, precision=precision)
    done = train.run(prepared, longer, machine=GPU, rerun=Rerun(), reporter=Reporter())
    history = pd.read_csv(prepared.train(name).history)
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert done.info["precision"] == precision
    assert done.info["epochs"] == 6


def history_of(workspace: Workspace, config: TrainConfig, machine: Machine = GPU) -> pd.DataFrame:
    train.run(workspace, config, machine=machine, rerun=Rerun(force=True), reporter=Reporter())
    return pd.read_csv(workspace.train(config.learner).history)


# So slow that weights hardly move: where they do, Adam makes a full step of every rounding error.
STILL = {"lr": 1e-6, "epochs": 3}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_captured_step_gives_the_numbers_of_an_eager_one(
    prepared: Workspace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    captures = []
    capture = Stepper._capture
    monkeypatch.setattr(Stepper, "_capture", lambda self: (captures.append(1), capture(self)))
    captured = history_of(prepared, tiny_config(name, **STILL))
    assert captures == [1]
    monkeypatch.setattr("murace.training.job.device.Place", partial(Place, captured=False))
    eager = history_of(prepared, tiny_config(name, **STILL))
    assert captures == [1]
    assert np.allclose(captured["train_loss"], eager["train_loss"], rtol=1e-3)


def test_training_from_the_memory_map_gives_the_numbers_of_resident_images(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = history_of(prepared, tiny_config("resnet", **STILL))
    monkeypatch.setattr("murace.data.loading.batches._fits", lambda num_bytes, device: False)
    streamed = history_of(prepared, tiny_config("resnet", **STILL))
    assert np.allclose(resident["train_loss"], streamed["train_loss"], rtol=1e-3)


def test_on_the_gpu_it_learns_as_on_the_cpu(prepared: Workspace) -> None:
    there = history_of(prepared, tiny_config("convnet", **STILL))
    here = history_of(prepared, tiny_config("convnet", **STILL), Machine(gpu="cpu", threads=1))
    assert np.allclose(there["train_loss"], here["train_loss"], rtol=5e-3)  # TF32 in the convolutions


def test_a_compiled_step_is_captured_too(prepared: Workspace) -> None:
    eager = history_of(prepared, tiny_config("convnet", **STILL))
    compiled = history_of(prepared, tiny_config("convnet", **STILL), Machine(gpu="0", compile="on"))
    assert np.allclose(eager["train_loss"], compiled["train_loss"], rtol=5e-3)


def test_stopped_in_the_middle_it_goes_on_from_a_state_written_in_the_background(prepared: Workspace) -> None:
    config = tiny_config("convnet", **STILL)
    with pytest.raises(Interrupted):
        train.run(prepared, config, machine=GPU, rerun=Rerun(), reporter=StopAfter(13))
    reporter = StopAfter(-1)
    train.run(prepared, config, machine=GPU, rerun=Rerun(), reporter=reporter)
    assert "resuming after epoch 1 and 5 steps of the next" in reporter.said
    assert list(pd.read_csv(prepared.train("convnet").history)["epoch"]) == [1, 2, 3]


def test_out_of_memory_names_a_batch_that_fits(prepared: Workspace) -> None:
    torch.cuda.empty_cache()
    _, total = torch.cuda.mem_get_info()
    recipe = Recipe(epochs=1, batch_size=64, precision="fp32")
    config = TrainConfig(learner="densenet", recipe=recipe)
    try:
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 600 * 2**20) / total)
        with pytest.raises(MachineError) as refusal:
            train.run(prepared, config, machine=GPU, rerun=Rerun(), reporter=Reporter())
        found = re.search(r"--batch-size 64; (\d+) would fit", str(refusal.value))
        assert found, str(refusal.value)
        smaller = replace(config, recipe=replace(recipe, batch_size=int(found[1])))
        train.run(prepared, smaller, machine=GPU, rerun=Rerun(resume=False), reporter=Reporter())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_auto_is_bf16_on_hardware_that_has_it() -> None:
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    assert resolve_precision("auto", CUDA) == expected
