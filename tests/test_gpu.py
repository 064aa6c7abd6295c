"""What must hold on a CUDA device; run with `pytest -m gpu` where there is one.

Most of it also runs on the CPU (`-m slow`), where a stand-in that does the step itself takes the CUDA graph's place: so
a test does not fail for a slip of its own where the first GPU is at hand.
"""

import gc
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

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
from murace.training import step as steps
from murace.training.capture import Work
from murace.training.job import build
from murace.vocabulary import LEARNERS
from murace.workspace import Rerun, read
from murace.workspace.paths import Workspace
from tests.cli.typed import done, environment
from tests.steps.test_train import StopAfter
from tests.training.test_capture import LOST, NO_MEMORY, standing_in
from tests.workshop import SIZE, tiny_config

ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]
GPU = Machine(gpu="0")
CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")


def gpu_only(test: Callable[..., None]) -> Callable[..., None]:
    for mark in ON_GPU:
        test = mark(test)
    return test


class Graphs:
    """Where the tests run, and whether a step is being captured there: on the CPU by a stand-in."""

    def __init__(self, gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine, self.captures_here = Machine(gpu=gpu, threads=1), False
        self.is_gpu, self.device = gpu != "cpu", torch.device("cuda:0" if gpu != "cpu" else "cpu")
        self.fails: Callable[[], None] | None = None
        if not self.is_gpu:
            monkeypatch.setattr("murace.system.device.choose", lambda machine: (CPU, None))  # `--graph on` too
            standing_in(monkeypatch, lambda stepper: self.capture)
        real = steps.weighted_cross_entropy

        def loss(*given: torch.Tensor) -> torch.Tensor:
            found = real(*given)
            if self.fails is not None and self.is_capturing:
                self.fails()
            return found

        monkeypatch.setattr(steps, "weighted_cross_entropy", loss)

    @property
    def is_capturing(self) -> bool:
        return torch.cuda.is_current_stream_capturing() if self.is_gpu else self.captures_here

    def capture(self, work: Work) -> Work:
        """In a graph's place; where it is to fail, it fails inside the step, as that of a GPU does."""
        self.captures_here = True
        try:
            if self.fails is not None:
                work()
        finally:
            self.captures_here = False
        return work

    def wait(self) -> None:
        """What may not stand in a graph."""
        if self.is_gpu:
            torch.ones(1, device=self.device).item()
        raise LOST  # on the CPU: what a GPU says then


@pytest.fixture(params=[pytest.param("cpu", marks=pytest.mark.slow), pytest.param("0", marks=ON_GPU)])
def graphs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Graphs:
    return Graphs(request.param, monkeypatch)


@pytest.fixture
def reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN adds up in one order: what is left of differences is a fault."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    monkeypatch.setattr(Place, "searches", False)


def pictures(count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, 1, SIZE, SIZE), dtype=np.float32))


@gpu_only
def test_absent_means_the_first_gpu_and_one_too_many_is_refused() -> None:
    assert choose(Machine()) == (CUDA, None)
    with pytest.raises(MachineError, match="no such GPU"):
        choose(Machine(gpu=str(torch.cuda.device_count())))


def test_augmentation_draws_the_same_and_gives_the_same_pictures_as_on_the_cpu(graphs: Graphs) -> None:
    rows, there = torch.arange(6), graphs.device
    for ours, theirs in zip(draw(rows.to(there), seed=3, epoch=2), draw(rows, seed=3, epoch=2), strict=True):
        assert torch.allclose(ours.cpu().float(), theirs.float(), atol=1e-6)
    found = augment(pictures().to(there), rows.to(there), seed=3, epoch=2)
    assert torch.allclose(found.cpu(), augment(pictures(), rows, seed=3, epoch=2), atol=1e-4)


@gpu_only
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
def test_a_net_answers_as_on_the_cpu(name: str, graphs: Graphs) -> None:
    torch.manual_seed(0)
    net = create(name, width=0.25, size=SIZE).eval()
    with torch.no_grad():
        expected = net((pictures() * 255).round() / 255)
    place = Place(graphs.device, "fp32")
    place.put(net)
    pixels = (pictures()[:, 0] * 255).round().to(torch.uint8).numpy()
    rows = np.arange(6)
    logits = logits_of(net, Images(pixels, rows, graphs.device), rows, place=place, reporter=Reporter())
    largest = max(1.0, float(expected.abs().max()))  # a fresh resnet's logits are in the hundreds
    assert torch.allclose(logits.float(), expected, atol=0.02 * largest)  # TF32 is allowed
    maps, log_odds = activation_maps(net, pictures().to(graphs.device))
    bias = float((net.head.bias[1] - net.head.bias[0]).detach())
    assert np.allclose(maps.mean(axis=(1, 2)) + bias, log_odds, atol=1e-9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", LEARNERS)
def test_training_learns_and_goes_on_where_it_stood(
    prepared: Workspace, name: str, precision: str, graphs: Graphs
) -> None:
    config = tiny_config(name, epochs=2, precision=precision)
    train.run(prepared, config, machine=graphs.machine, rerun=Rerun(), reporter=Reporter())
    longer = tiny_config(name, epochs=6, precision=precision)
    done = train.run(prepared, longer, machine=graphs.machine, rerun=Rerun(), reporter=Reporter())
    history = pd.read_csv(prepared.train(name).history)
    assert list(history["epoch"]) == [1, 2, 3, 4, 5, 6]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert done.info["precision"] == precision
    assert done.info["epochs"] == 6


WAYS = [("fp32", "off"), ("bf16", "off"), ("bf16", "on")]


def trained(
    workspace: Workspace, name: str, graphs: Graphs, *, graph: str = "auto", compile_: str = "off", **recipe: object
) -> dict[str, torch.Tensor]:
    """The tensors of the last state of a training from its beginning, and its losses of validation."""
    gpu = None if graph == "on" and not graphs.is_gpu else graphs.machine.gpu
    machine = replace(graphs.machine, gpu=gpu, graph=graph, compile=compile_)
    config = tiny_config(name, **{"epochs": 1, "lr": 1e-3, **recipe})
    train.run(workspace, config, machine=machine, rerun=Rerun(resume=False), reporter=Reporter())
    return state_of(workspace, name)


def state_of(workspace: Workspace, name: str) -> dict[str, torch.Tensor]:
    folder = workspace.train(name)
    tensors = load_file(max(folder.checkpoint.glob("0*.safetensors")))
    return tensors | {"validation": torch.tensor(pd.read_csv(folder.history)["validation_loss"])}


def facts(workspace: Workspace, name: str) -> dict[str, object]:
    record = read(workspace.train(name).folder)
    assert record is not None
    return record.info


def relative(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], names: list[str]) -> float:
    """The distance of these tensors together, by the length of the wanted ones."""
    assert names
    a, b = (torch.cat([tensors[name].double().flatten() for name in names]) for tensors in (found, wanted))
    return float((a - b).norm() / b.norm())


def fresh(name: str) -> dict[str, torch.Tensor]:
    """The weights that a training begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build({"learner": name, "width": 0.1, "head": "gap", "size": SIZE})
    return {f"net.{key}": tensor.detach() for key, tensor in net.named_parameters()}


def assert_alike(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], name: str, loose: float) -> None:
    """Losses, batch norm's statistics, Adam's moments and the way of the weights; `loose`: 1 in fp32."""
    assert set(found) == set(wanted)
    start = fresh(name)
    for ending, allowed in (("running_mean", 1e-3), ("running_var", 1e-3), ("exp_avg", 1e-2), ("exp_avg_sq", 1e-2)):
        names = [key for key in wanted if key.endswith(f".{ending}")]
        assert relative(found, wanted, names) <= loose * allowed, ending
    for key in [key for key in wanted if key.endswith((".step", "num_batches_tracked"))]:
        assert torch.equal(found[key], wanted[key]), key
    for key in ("losses", "validation"):
        assert relative(found, wanted, [key]) <= loose * 1e-3, key
    ways = [{key: tensors[key] - before for key, before in start.items()} for tensors in (found, wanted)]
    assert relative(*ways, list(start)) <= 0.2, "Adam makes whole steps of what is nothing but rounding; not of more"


@pytest.mark.usefixtures("reproducible")
@pytest.mark.parametrize(("precision", "compile_"), WAYS)
@pytest.mark.parametrize("name", LEARNERS)
def test_a_captured_training_is_the_eager_one(
    prepared: Workspace, name: str, precision: str, compile_: str, graphs: Graphs
) -> None:
    """At a rate at which the weights do move."""
    if not graphs.is_gpu and compile_ == "on" and name != "convnet":
        pytest.skip("it compiles for minutes on a CPU")
    way = {"precision": precision, "compile_": compile_}
    eager = trained(prepared, name, graphs, graph="off", **way)
    assert facts(prepared, name)["graph"] == "off"
    found = trained(prepared, name, graphs, graph="auto", **way)
    assert facts(prepared, name) | {"graph": "on", "compiled": compile_ == "on", "precision": precision} == facts(
        prepared, name
    )
    assert_alike(found, eager, name, loose=1 if precision == "fp32" else 10)
    other = trained(prepared, name, graphs, graph="auto", seed=1, **way)
    with pytest.raises(AssertionError):  # what is compared tells two trainings apart
        assert_alike(other, eager, name, loose=1 if precision == "fp32" else 10)


@pytest.mark.usefixtures("reproducible")
@pytest.mark.parametrize("name", LEARNERS)
def test_resumed_it_ends_where_the_uninterrupted_one_does(prepared: Workspace, name: str, graphs: Graphs) -> None:
    whole = trained(prepared, name, graphs, epochs=2)
    config = tiny_config(name, epochs=2, lr=1e-3)
    with pytest.raises(Interrupted):
        train.run(prepared, config, machine=graphs.machine, rerun=Rerun(resume=False), reporter=StopAfter(7))
    train.run(prepared, config, machine=graphs.machine, rerun=Rerun(), reporter=Reporter())
    assert facts(prepared, name)["graph"] == "on"
    assert_alike(state_of(prepared, name), whole, name, loose=1)


@pytest.mark.usefixtures("reproducible")
@pytest.mark.parametrize("what", ["a wait", "no memory"])
def test_where_the_capture_fails_the_training_goes_on_eagerly_and_the_next_one_captures(
    prepared: Workspace, what: str, graphs: Graphs
) -> None:
    def no_memory() -> None:
        raise NO_MEMORY

    eager = trained(prepared, "resnet", graphs, graph="off")
    graphs.fails = graphs.wait if what == "a wait" else no_memory
    found = trained(prepared, "resnet", graphs)
    told = facts(prepared, "resnet")
    assert told["graph"] == "off"
    assert "out of memory" in told["graph_reason"] if what == "no memory" else "CUDA error" in told["graph_reason"]
    assert_alike(found, eager, "resnet", loose=1)
    if graphs.is_gpu:
        assert torch.cuda.current_stream(CUDA) == torch.cuda.default_stream(CUDA)
    with pytest.raises(MachineError, match="out of memory with" if what == "no memory" else "--graph on: a training"):
        trained(prepared, "resnet", graphs, graph="on")
    graphs.fails = None
    assert_alike(trained(prepared, "resnet", graphs), eager, "resnet", loose=1)
    assert facts(prepared, "resnet")["graph"] == "on"


def allocated(graphs: Graphs) -> int:
    """Bytes of GPU memory that are in use once everything is collected."""
    gc.collect()
    if not graphs.is_gpu:
        return 0
    torch.cuda.synchronize(CUDA)
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(CUDA)


def test_the_memory_is_given_back_after_each_learner(prepared: Workspace, graphs: Graphs) -> None:
    trained(prepared, "convnet", graphs)  # libraries take their own once
    before = allocated(graphs)
    for name in LEARNERS:
        trained(prepared, name, graphs)
        assert allocated(graphs) <= before + 2**20, name


def test_finetune_evaluate_predict_and_cam_answer_as_on_the_cpu(
    finished: Workspace, source: Path, tmp_path: Path, graphs: Graphs
) -> None:
    place, study = ("-w", finished.root), source / "test" / "elbow" / "p0"
    before = pd.read_csv(finished.evaluate.predictions)
    gpu = ("--gpu", graphs.machine.gpu, "--threads", "1")
    done("evaluate", *gpu, "--fresh", "--resamples", 100, *place)
    found = pd.read_csv(finished.evaluate.predictions)
    for model in ("convnet", "resnet", "densenet", "calibrated"):
        assert np.allclose(found[model], before[model], atol=0.02), model  # TF32 in the convolutions
    for name in ("cpu", graphs.machine.gpu):
        done("predict", study, "--gpu", name, "--threads", "1", "--out", tmp_path / f"{name}.csv", *place)
    here, there = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("cpu", graphs.machine.gpu))
    numbers = [name for name in here.columns if here[name].dtype == float and name != "seconds"]
    assert numbers
    assert np.allclose(here[numbers], there[numbers], atol=0.02, equal_nan=True)
    done("cam", study, "--group", "elbow", *gpu, "--out", tmp_path / "maps", *place)
    assert list((tmp_path / "maps").glob("*/*.png"))
    words = ("--precision", "fp32", "--batch-size", 8, "--lr", 0.001, "--epochs", 2)
    done("finetune", *gpu, *words, *place)
    for group in ("elbow", "wrist"):
        history = pd.read_csv(finished.finetune(group).history)
        assert list(history["epoch"]) == [0, 1, 2]
        assert np.isfinite(history["validation_loss"]).all()


# The device that a process has touched has a context: a second GPU's user must not find a piece of the first one taken.
TOUCHES = """
import sys
import torch
from murace.cli import app

try:
    app(sys.argv[2:])
except SystemExit as left:
    assert not left.code, left.code
if torch.cuda.is_available():
    touched = [torch._C._cuda_hasPrimaryContext(number) for number in range(torch.cuda.device_count())]
    assert touched == [number == int(sys.argv[1]) for number in range(len(touched))], touched
print("touched", sys.argv[1], "alone")
"""


@pytest.mark.parametrize(
    "gpu",
    [
        pytest.param("cpu", marks=pytest.mark.slow),
        pytest.param("0", marks=ON_GPU),
        pytest.param(
            "1", marks=[*ON_GPU, pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no second CUDA device")]
        ),
    ],
)
def test_a_gpu_that_is_named_is_touched_alone(prepared: Workspace, gpu: str) -> None:
    words = ("train", "--arch", "convnet", "--gpu", gpu, "--width", "0.1", "--batch-size", "8", "--epochs", "1")
    command = [sys.executable, "-W", "error", "-c", TOUCHES, gpu, *words, "-w", str(prepared.root)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith(f"touched {gpu} alone\n")


def history_of(workspace: Workspace, config: TrainConfig, machine: Machine = GPU) -> pd.DataFrame:
    train.run(workspace, config, machine=machine, rerun=Rerun(force=True), reporter=Reporter())
    return pd.read_csv(workspace.train(config.learner).history)


# So slow that weights hardly move: where they do, Adam makes a full step of every rounding error.
STILL = {"lr": 1e-6, "epochs": 3}


@gpu_only
def test_training_from_the_memory_map_gives_the_numbers_of_resident_images(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = history_of(prepared, tiny_config("resnet", **STILL))
    monkeypatch.setattr("murace.data.loading.batches._fits", lambda num_bytes, device: False)
    streamed = history_of(prepared, tiny_config("resnet", **STILL))
    assert np.allclose(resident["train_loss"], streamed["train_loss"], rtol=1e-3)


@gpu_only
def test_on_the_gpu_it_learns_as_on_the_cpu(prepared: Workspace) -> None:
    there = history_of(prepared, tiny_config("convnet", **STILL))
    here = history_of(prepared, tiny_config("convnet", **STILL), Machine(gpu="cpu", threads=1))
    assert np.allclose(there["train_loss"], here["train_loss"], rtol=5e-3)  # TF32 in the convolutions


@pytest.mark.parametrize("name", LEARNERS)
def test_a_compiled_captured_training_has_the_losses_of_the_plain_one(
    prepared: Workspace, name: str, graphs: Graphs
) -> None:
    if not graphs.is_gpu and name != "convnet":
        pytest.skip("it compiles for minutes on a CPU")
    config = tiny_config(name, precision="bf16", **STILL)
    plain = history_of(prepared, config, replace(graphs.machine, graph="off"))
    compiled = history_of(prepared, config, replace(graphs.machine, compile="on"))
    assert facts(prepared, name)["graph"] == "on"
    assert np.allclose(plain["train_loss"], compiled["train_loss"], rtol=2e-2)


def test_stopped_in_the_middle_it_goes_on_from_the_state_that_was_written(prepared: Workspace, graphs: Graphs) -> None:
    config = tiny_config("convnet", **STILL)
    with pytest.raises(Interrupted):
        train.run(prepared, config, machine=graphs.machine, rerun=Rerun(), reporter=StopAfter(13))
    reporter = StopAfter(-1)
    train.run(prepared, config, machine=graphs.machine, rerun=Rerun(), reporter=reporter)
    assert "resuming after epoch 1 and 5 steps of the next" in reporter.said
    assert list(pd.read_csv(prepared.train("convnet").history)["epoch"]) == [1, 2, 3]


@gpu_only
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


@gpu_only
def test_auto_is_bf16_on_hardware_that_has_it() -> None:
    expected = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    assert resolve_precision("auto", CUDA) == expected
