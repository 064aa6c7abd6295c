"""The check of a captured step, with stand-ins for a CUDA graph: right ones, wrong ones, and ones that fail."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from murace.config import Machine
from murace.errors import Interrupted, MachineError
from murace.steps.train import step as train
from murace.system.device import Place
from murace.system.failures import is_out_of_memory
from murace.training import capture as captures
from murace.training.capture import Capture, Work, cuda_capture
from murace.training.checkpoint import newest_state
from murace.training.step import WARM_UP, Stepper
from murace.workspace import Rerun, read
from murace.workspace.paths import Workspace
from tests.steps.test_train import StopAfter
from tests.workshop import CPU, tiny_config, tiny_workspace

NO_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nSee the documentation")
LOST = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture\nmore")


def standing_in(monkeypatch: pytest.MonkeyPatch, make: Callable[[Stepper], Capture]) -> list[Stepper]:
    """Let steps be captured on the CPU, by what `make` gives for a training's stepper; returns the steppers."""
    steppers: list[Stepper] = []

    def init(stepper: Stepper, *given: object) -> None:
        real(stepper, *given)
        stepper.capture = None if stepper.setup.place.graph == "off" else make(stepper)
        steppers.append(stepper)

    real = Stepper.__init__
    monkeypatch.setattr(Stepper, "__init__", init)
    return steppers


def right(stepper: Stepper) -> Capture:
    return lambda work: work


def after(change: Callable[[Stepper], None]) -> Callable[[Stepper], Capture]:
    """A graph that does the step, and then something to what it has left."""

    def capture(stepper: Stepper, work: Work) -> Work:
        def replay() -> None:
            work()
            change(stepper)

        return replay

    return lambda stepper: functools.partial(capture, stepper)


def stands_still(stepper: Stepper) -> Capture:
    """A graph that updates other weights than the net's own."""

    def replay(work: Work) -> None:
        weights = [parameter.detach().clone() for parameter in stepper.training.net.parameters()]
        work()
        for parameter, kept in zip(stepper.training.net.parameters(), weights, strict=True):
            parameter.data.copy_(kept)

    return lambda work: lambda: replay(work)


def of_the_first_step(stepper: Stepper) -> Capture:
    """A graph that has the batch of the step in it that was captured: right once, and then never again."""

    def capture(work: Work) -> Work:
        first = [table[int(stepper.position)].clone() for table in stepper.tables]

        def replay() -> None:
            at, tables = int(stepper.position), [table.clone() for table in stepper.tables]
            for table, row in zip(stepper.tables, first, strict=True):
                table[at] = row
            work()
            for table, kept in zip(stepper.tables, tables, strict=True):
                table.copy_(kept)

        return replay

    return capture


def raising(*errors: BaseException | None) -> Callable[[Stepper], Capture]:
    """What raises at the capture, or where that is None, at the first replay."""

    def capture(work: Work) -> Work:
        if errors[0] is not None:
            raise errors[0]

        def replay() -> None:
            work()
            if errors[-1] is not None:
                raise errors[-1]

        return replay

    return lambda stepper: capture


def buffers(stepper: Stepper, name: str) -> list[torch.Tensor]:
    return [buffer for key, buffer in stepper.training.net.named_buffers() if key.endswith(name)]


def state(stepper: Stepper, key: str) -> list[torch.Tensor]:
    return [entry[key] for entry in stepper.training.optimizer.state.values()]


def scale(tensors: list[torch.Tensor], by: float) -> None:
    for tensor in tensors:
        tensor.mul_(by)


WRONG = {
    "the weights stay": (stands_still, "how far the weights move differs by 1"),
    "the batch stays": (of_the_first_step, "the loss differs by "),
    "the position stays": (after(lambda s: s.position.sub_(1)), "position did not count on"),
    "Adam's step counts twice": (after(lambda s: [step.add_(1) for step in state(s, "step")]), ".step did not count"),
    "the loss is off": (after(lambda s: s.training.losses.mul_(1.002)), "the loss differs by 0.002"),
    "the loss is NaN": (after(lambda s: s.training.losses.mul_(torch.nan)), "the loss differs by nan"),
    "first moments are off": (after(lambda s: scale(state(s, "exp_avg"), 1.02)), "exp_avg differs by 0.02"),
    "second moments are off": (after(lambda s: scale(state(s, "exp_avg_sq"), 0.98)), "exp_avg_sq differs by 0.02"),
    "means are off": (after(lambda s: scale(buffers(s, "running_mean"), 1.5)), "buffer differs by "),
    "variances are off": (after(lambda s: scale(buffers(s, "running_var"), 1.002)), "buffer differs by 0.002"),
    "it is a step too many": (after(lambda s: [b.add_(1) for b in buffers(s, "num_batches_tracked")]), "_tracked did"),
    "it fails to be captured": (raising(LOST), "CUDA error: operation failed due to a previous error during capture"),
    "there is no memory for it": (raising(NO_MEMORY), "CUDA out of memory. Tried to allocate 2 GiB."),
    "its replay fails": (raising(None, RuntimeError("CUDA error: invalid argument")), "CUDA error: invalid argument"),
    "the compiler fails in it": (raising(MachineError("torch.compile failed")), "torch.compile failed"),
}  # fmt: skip


class Listening(StopAfter):
    """Tells warnings from remarks."""

    def __init__(self, steps: int = -1) -> None:
        super().__init__(steps)
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def run(workspace: Workspace, graph: str = "auto", reporter: StopAfter | None = None, **recipe: object) -> dict:
    config = tiny_config("convnet", **{"epochs": 1, **recipe})
    machine = Machine(threads=CPU.threads, gpu=None if graph == "on" else "cpu", graph=graph)
    given = {"machine": machine, "rerun": Rerun(), "reporter": reporter or Listening()}
    train.run(workspace, config, **given)
    record = read(workspace.train("convnet").folder)
    assert record is not None
    return record.info


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--graph on` is refused on a CPU, where there is nothing to capture but what stands in here."""
    cpu = torch.device("cpu")
    monkeypatch.setattr("murace.system.device.choose", lambda machine: (cpu, None))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """The weights of the training that knows of no graph, after one epoch and after two."""
    found = {}
    for epochs in (1, 2):
        workspace = tiny_workspace(tmp_path_factory.mktemp("plain") / "workspace")
        assert run(workspace, epochs=epochs)["graph"] == "off"
        found[epochs] = weights(workspace)
    return found


def weights(workspace: Workspace) -> bytes:
    return workspace.train("convnet").model.read_bytes()


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("graph", ["auto", "on"])
def test_a_right_graph_is_used_recorded_and_leaves_the_same(
    prepared: Workspace, plain: dict[int, bytes], monkeypatch: pytest.MonkeyPatch, graph: str
) -> None:
    replays, reporter = list[int](), Listening()
    steppers = standing_in(monkeypatch, after(lambda stepper: replays.append(int(stepper.position))))
    info = run(prepared, graph, reporter, epochs=2)
    assert (info["graph"], "graph_reason" in info) == ("on", False)
    assert reporter.warnings == []
    assert len(steppers) == 1
    steps = len(steppers[0].training.losses)
    assert replays == [*range(WARM_UP + 1, steps + 1), *range(1, steps + 1)]  # every step after the first ones
    assert weights(prepared) == plain[2]
    saved = newest_state(prepared.train("convnet").checkpoint)
    assert saved is not None
    assert saved.facts["graph"] == "on"


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_graph_is_given_up_loudly_and_the_eager_results_stand(
    prepared: Workspace, plain: dict[int, bytes], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    make, reason = WRONG[how]
    steppers, reporter = standing_in(monkeypatch, make), Listening()
    info = run(prepared, reporter=reporter)
    assert info["graph"] == "off"
    assert reason in info["graph_reason"]
    (warning,) = reporter.warnings
    assert warning == (
        f"a training step cannot be replayed as a CUDA graph here ({info['graph_reason']}): "
        "going on without it, which is correct but slower"
    )
    assert steppers[0].replay is None
    assert weights(prepared) == plain[1], "not the bytes of the eager training"
    saved = newest_state(prepared.train("convnet").checkpoint)
    assert saved is not None
    assert saved.facts["graph_reason"] == info["graph_reason"]


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("how", ["the weights stay", "the batch stays", "it fails to be captured"])
def test_where_it_is_insisted_on_a_wrong_graph_ends_the_run(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    make, reason = WRONG[how]
    standing_in(monkeypatch, make)
    with pytest.raises(MachineError) as refusal:
        run(prepared, "on")
    told = str(refusal.value)
    assert told.startswith("--graph on: a training step cannot be replayed as a CUDA graph here (")
    assert reason in told
    assert told.endswith("): run with --graph auto or off")
    assert "lost" not in told


@pytest.mark.usefixtures("on_cpu")
def test_where_it_is_insisted_on_too_little_memory_is_told_as_that(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing_in(monkeypatch, raising(NO_MEMORY))
    with pytest.raises(MachineError, match="out of memory with --batch-size 8"):
        run(prepared, "on")


def test_off_captures_nothing(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    standing_in(monkeypatch, raising(AssertionError("captured")))
    assert run(prepared, "off")["graph"] == "off"


@pytest.mark.usefixtures("on_cpu")
def test_a_graph_that_was_given_up_stays_so_on_a_resume_unless_it_is_asked_for(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as first:
        standing_in(first, raising(LOST))
        with pytest.raises(Interrupted):
            run(prepared, reporter=Listening(5))
    steppers, reporter = standing_in(monkeypatch, right), Listening()
    info = run(prepared, reporter=reporter)
    assert (info["graph"], steppers[-1].capture) == ("off", None)
    assert info["graph_reason"].startswith("CUDA error: operation failed")
    assert reporter.warnings == []
    info = run(prepared, "on", epochs=2)
    assert (info["graph"], "graph_reason" in info) == ("on", False)


def test_resumed_in_the_middle_it_is_checked_anew_and_leaves_the_same(
    prepared: Workspace, plain: dict[int, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    steppers = standing_in(monkeypatch, right)
    with pytest.raises(Interrupted):
        run(prepared, reporter=Listening(5), epochs=2)
    assert run(prepared, epochs=2)["graph"] == "on"
    assert [stepper.checked for stepper in steppers] == [2, 2]
    assert weights(prepared) == plain[2]


def test_a_gpu_that_is_lost_in_the_capture_is_told_by_what_went_wrong_first(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    standing_in(monkeypatch, raising(first))
    put_back, calls, reporter = captures.put_back, [], Listening()

    def broken(*given: object) -> None:
        calls.append(1)
        if len(calls) > 1:  # the one after the failure
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        put_back(*given)

    monkeypatch.setattr("murace.training.step.put_back", broken)
    with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
        run(prepared, reporter=reporter)
    assert reporter.warnings == [], "it does not go on"


def test_an_eager_loss_that_is_not_finite_is_no_fault_of_the_graph() -> None:
    nan = {"losses": torch.tensor([torch.nan]), "position": torch.tensor([0])}
    assert captures.difference(nan, nan, nan, precision="fp32") is None


def test_in_bf16_the_loss_may_be_further_apart() -> None:
    before = {"losses": torch.zeros(1), "position": torch.tensor([0])}
    eager, replayed = ({**before, "losses": torch.tensor([loss])} for loss in (1.0, 1.005))
    assert captures.difference(before, eager, replayed, precision="fp32") == "the loss differs by 0.005"
    assert captures.difference(before, eager, replayed, precision="bf16") is None


class Cuda:
    """What `torch.cuda` is to a capture: streams, and a graph whose end fails where what is in it has failed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at_start: Exception | None = None) -> None:
        self.at_start, self.current, self.dropped = at_start, "main", 0
        self.stream = SimpleNamespace(device=torch.device("cuda:0"))
        for name, stand_in in {
            "current_stream": lambda device: self.current,
            "set_stream": lambda stream: setattr(self, "current", stream),
            "synchronize": lambda device: None,
            "device": lambda device: nullcontext(),
            "CUDAGraph": lambda: self,
            "graph": self.graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def graph(self, graph: object, *, stream: object, capture_error_mode: str) -> AbstractContextManager[None]:
        assert (graph, capture_error_mode) == (self, "thread_local")
        return Context(self)

    def reset(self) -> None:
        self.dropped += 1
        raise RuntimeError("a capture is under way")

    def replay(self) -> None:
        """Nothing."""


class Context:
    """As torch's: an error at the end of the capture leaves the thread on the stream."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda

    def __enter__(self) -> None:
        self.cuda.current = "side"
        if self.cuda.at_start is not None:
            raise self.cuda.at_start

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None:
            raise LOST
        self.cuda.current = "main"


def fails() -> None:
    raise NO_MEMORY


def test_a_capture_that_fails_leaves_the_stream_and_says_what_went_wrong_first(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)
    with pytest.raises(torch.OutOfMemoryError) as failure:
        cuda_capture(cuda.stream)(fails)
    assert is_out_of_memory(failure.value)
    assert (cuda.current, cuda.dropped) == ("main", 1)


def test_a_capture_that_does_not_begin_leaves_the_stream_too(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch, at_start=RuntimeError("not now"))
    with pytest.raises(RuntimeError, match="not now"):
        cuda_capture(cuda.stream)(lambda: None)
    assert (cuda.current, cuda.dropped) == ("main", 1)


def test_a_capture_does_its_work_once_and_gives_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, done = Cuda(monkeypatch), []
    assert cuda_capture(cuda.stream)(lambda: done.append(cuda.current)) == cuda.replay
    assert done == ["side"]
    assert (cuda.current, cuda.dropped) == ("main", 0)


def test_cudnn_searches_in_training_steps_and_nowhere_else(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation has several shapes, and each would be searched for."""
    seen, forward = set(), torch.nn.Conv2d.forward

    def watched(layer: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        seen.add((layer.training, torch.backends.cudnn.benchmark))
        return forward(layer, images)

    monkeypatch.setattr(Place, "searches", True)
    monkeypatch.setattr(torch.nn.Conv2d, "forward", watched)
    assert not torch.backends.cudnn.benchmark
    run(prepared)
    assert {flag for flag in seen if flag[0]} >= {(True, True)}
    assert (False, True) not in seen
    assert not torch.backends.cudnn.benchmark
