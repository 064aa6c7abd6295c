import warnings
from pathlib import Path

import pytest
import torch

from murace.config import Machine
from murace.errors import MachineError, UsageError
from murace.system import device, gpu
from murace.system.processes import ProcessGroup
from murace.system.progress import Reporter

CPU = torch.device("cpu")


OLD = "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver by ..."
NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nand more"


def sees(monkeypatch: pytest.MonkeyPatch, has_gpu: bool) -> None:
    """Whether this machine has a GPU and its driver."""
    for module in (device, gpu):
        monkeypatch.setattr(module, "sees_gpu", lambda: has_gpu)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(gpu, "_COMPLAINTS", [])
    sees(monkeypatch, False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def unreachable(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU with its driver, which torch does not reach."""
    sees(monkeypatch, True)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """GPUs that compute; returns those that were made the current one."""
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {getattr(index, 'index', index)}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "compute_120"])
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(gpu, "_convolve", lambda chosen: None)
    return current


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def convolve(chosen: torch.device) -> None:
        raise error

    monkeypatch.setattr(gpu, "_convolve", convolve)


def told(fallback: device.Fallback | None) -> tuple[str, str]:
    """How it is shown, and what."""
    shown = []

    class Listening(Reporter):
        def say(self, message: str) -> None:
            shown.append(("said", message))

        def warn(self, message: str) -> None:
            shown.append(("warned", message))

    assert fallback is not None
    fallback.tell(Listening())
    (only,) = shown
    return only


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_said_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.choose(Machine(gpu="cpu")) == (CPU, None)
    chosen, remark = device.choose(Machine(threads=3))
    assert chosen == CPU
    assert told(remark) == ("said", "no GPU found: running on the CPU with 3 threads")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # on purpose: no warning, whatever the machine has
    sees(monkeypatch, True)
    assert told(device.choose(Machine(threads=3))[1])[0] == "said"


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_asked_for_is_never_quietly_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match=r"--gpu 0: no GPU, or no driver .* to run on the CPU: --gpu cpu"):
        device.choose(Machine(gpu="0"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(MachineError, match="CUDA_VISIBLE_DEVICES hides every GPU"):
        device.choose(Machine(gpu="0"))
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(MachineError, match="a build without CUDA; to run"):
        device.choose(Machine(gpu="0"))


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        (
            f"CUDA initialization: {OLD}",
            r"the GPU's driver \(CUDA 12\.4\) is too old for this torch \(CUDA 13\.0\): "
            r"update the driver, or install a torch built for CUDA 12\.4 or older \(https://pytorch\.org/",
        ),
        (None, r"the GPU's driver is too old for this torch \(CUDA 13\.0\): .* built for an older CUDA \(https"),
        ("CUDA unknown error - may be\nthe rest", r"its driver does not work with this torch .*: CUDA unknown error"),
    ],
)
def test_a_driver_that_is_too_old_is_not_called_no_gpu(
    monkeypatch: pytest.MonkeyPatch, complaint: str | None, reason: str
) -> None:
    """torch complains once, as a warning, and says then that there is no GPU."""

    def is_available() -> bool:
        if complaint:
            warnings.warn(complaint, stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.raises(MachineError, match=f"^--gpu 0: .*{reason}.*; to run on the CPU: --gpu cpu$"):
        device.choose(Machine(gpu="0"))
    chosen, remark = device.choose(Machine(threads=1))
    shown, message = told(remark)
    assert (chosen, shown) == (CPU, "warned")
    assert message.endswith(": running on the CPU with 1 thread")
    assert "no GPU found" not in message


@pytest.mark.usefixtures("unreachable")
def test_a_torch_without_cuda_beside_a_gpu_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    shown, message = told(device.choose(Machine())[1])
    assert shown == "warned"
    assert message.startswith("this torch is a build without CUDA, and this machine has a GPU: install one with CUDA")


def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(two_gpus: list[torch.device]) -> None:
    assert device.choose(Machine()) == (torch.device("cuda:0"), None)
    assert device.choose(Machine(gpu="1"))[0] == torch.device("cuda:1")
    with pytest.raises(MachineError, match=r"--gpu 3: no such GPU; 2 visible: 0 \(card 0\), 1 \(card 1\)"):
        device.choose(Machine(gpu="3"))


def test_the_second_gpu_alone_is_made_the_current_one_before_anything_is_computed(
    two_gpus: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_convolve", lambda chosen: two_gpus.append(torch.device("meta")))
    device.choose(Machine(gpu="1"))
    assert two_gpus == [torch.device("cuda:1"), torch.device("meta")]


HOLDS = (
    "this torch holds no code for GPU 0 (card 0), which is sm_61: it holds sm_75, sm_80, compute_120. Install a torch"
)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError(NO_KERNEL),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
    ],
    ids=["kernel", "cudnn", "engine"],
)
def test_a_gpu_that_torch_has_no_code_for_is_told_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    failing(monkeypatch, error)
    with pytest.raises(MachineError) as refusal:
        device.choose(Machine(gpu="0"))
    assert str(refusal.value).startswith(f"--gpu 0: {HOLDS} built for sm_61, ")
    assert str(refusal.value).endswith("; to run on the CPU: --gpu cpu")
    assert "lost" not in str(refusal.value)
    chosen, remark = device.choose(Machine(threads=2))
    shown, message = told(remark)
    assert (chosen, shown) == (CPU, "warned")
    assert message.startswith(HOLDS)
    assert message.endswith(": running on the CPU with 2 threads")


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_fails_otherwise_or_is_full_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (8, 6))
    failing(monkeypatch, torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nmore"))
    with pytest.raises(
        MachineError, match=r"GPU 0 \(card 0\) fails at a small convolution \(CUDA error: uncorr[^\n]*$"
    ):
        device.choose(Machine(gpu="0"))
    assert told(device.choose(Machine())[1])[0] == "warned"
    failing(monkeypatch, torch.OutOfMemoryError("CUDA out of memory. Tried"))
    for asked in ("0", None):  # another night's training must not become one on the CPU because of it
        with pytest.raises(MachineError, match=r"GPU 0 \(card 0\) has no memory left \(CUDA out of memory"):
            device.choose(Machine(gpu=asked))


@pytest.mark.usefixtures("no_gpu")
def test_a_graph_insisted_on_without_a_gpu_is_the_machines_fault_and_for_the_cpu_a_mistake_of_usage() -> None:
    with pytest.raises(MachineError, match=r"--graph on needs a GPU: no GPU, .* was found; run with --graph auto"):
        device.choose(Machine(graph="on"))
    for asked in ("cpu", "0,1"):
        with pytest.raises(UsageError, match=f"--graph on is for one GPU, not for --gpu {asked}: leave it out"):
            Machine(gpu=asked, graph="on")
    with pytest.raises(UsageError, match=r"--graph: unknown value 'of'.*off"):
        Machine(graph="of")


@pytest.mark.usefixtures("two_gpus")
def test_a_graph_insisted_on_never_becomes_the_cpu_and_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, torch.AcceleratorError(NO_KERNEL))
    with pytest.raises(MachineError, match="holds no code for GPU 0"):
        device.choose(Machine(graph="on"))
    monkeypatch.setattr(device, "process_group", lambda: ProcessGroup(size=2, local_size=2))
    with pytest.raises(UsageError, match="--graph on is for one process"):
        device.choose(Machine(graph="on"))


@pytest.mark.parametrize("gpu", ["cuda", "-1", "0,", "0 1", "1.0", ""])
def test_what_is_no_number_is_a_mistake_of_usage(gpu: str) -> None:
    with pytest.raises(UsageError, match="--gpu takes numbers of GPUs, separated by commas, or cpu"):
        Machine(gpu=gpu)


def test_a_gpu_twice_and_several_for_one_process_are_mistakes_of_usage() -> None:
    with pytest.raises(UsageError, match="--gpu names a GPU twice: 1,1"):
        Machine(gpu="1,1")
    with pytest.raises(UsageError, match="--gpu 0,1 names 2 GPUs for 1 process"):
        device.choose(Machine(gpu="0,1"))


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_where_the_hardware_computes_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    monkeypatch.setattr(device, "has_native_bf16", lambda asked: native)
    assert device.resolve_precision("auto", CPU) == precision
    assert device.resolve_precision("auto", CPU, recorded="fp32") == "fp32"
    assert device.resolve_precision("auto", CPU, recorded="bf16") == "bf16"
    for asked in ("fp32", "bf16"):
        assert device.resolve_precision(asked, CPU) == asked


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f", False),
        ("flags\t\t: fpu avx512f avx512_bf16", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd asimdhp", False),
        ("Features\t: fp asimd bf16", True),
        ("model name\t: bf16", False),
        (None, False),  # no such file: another system than Linux
    ],
)
def test_a_cpu_is_asked_for_its_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str | None, native: bool
) -> None:
    info = tmp_path / "cpuinfo"
    if line is not None:
        info.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    monkeypatch.setattr(device, "Path", lambda name: info if name == "/proc/cpuinfo" else Path(name))
    assert device.has_native_bf16(CPU) is native


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_a_gpu_is_asked_for_its_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], native: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda asked: capability)
    assert device.has_native_bf16(torch.device("cuda:0")) is native


T4, A100 = (7, 5), (8, 0)


@pytest.fixture(params=[T4, A100], ids=["T4", "A100"])
def card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda asked: request.param)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda asked: "card")
    return request.param


def test_what_was_trained_in_bf16_answers_in_fp32_where_a_gpu_has_none_and_says_so_once(card: tuple[int, int]) -> None:
    warned = []

    class Listening(Reporter):
        def warn(self, message: str) -> None:
            warned.append(message)

    gpu, reporter = torch.device("cuda:0"), Listening()
    places = [device.reading_place(gpu, "bf16", reporter) for _ in range(3)]
    assert {place.precision for place in places} == {"bf16" if card >= A100 else "fp32"}
    assert [message.partition(":")[0] for message in warned] == ["GPU 0 (card) does not compute bf16"] * (card < A100)
    assert device.reading_place(gpu, "fp32", reporter).precision == "fp32"
    assert device.reading_place(CPU, "bf16", reporter).precision == "bf16"  # slow, but as it was
    assert len(warned) == (card < A100)


def test_training_in_bf16_is_refused_where_a_gpu_has_none(card: tuple[int, int]) -> None:
    gpu = torch.device("cuda:0")
    assert device.resolve_precision("fp32", gpu, recorded="bf16") == "fp32"
    if card >= A100:
        assert device.resolve_precision("bf16", gpu) == device.resolve_precision("auto", gpu) == "bf16"
        return
    assert device.resolve_precision("auto", gpu) == "fp32"
    with pytest.raises(MachineError, match=r"GPU 0 \(card\) does not compute bf16: run with --precision fp32"):
        device.resolve_precision("bf16", gpu)
    with pytest.raises(MachineError, match=r"the unfinished run is in bf16, and GPU 0 \(card\) does not .*--fresh"):
        device.resolve_precision("auto", gpu, recorded="bf16")


def test_auto_compiles_nothing_until_that_is_measured_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not device.resolve_compile("auto")
    assert device.resolve_compile("on")
    assert not device.resolve_compile("off")
    assert device.resolve_compile("auto", recorded=True)
    assert not device.resolve_compile("auto", recorded=False)
    assert not device.resolve_compile("off", recorded=True)
    monkeypatch.setattr(device, "process_group", lambda: ProcessGroup(size=2, local_size=2))
    assert not device.resolve_compile("auto", recorded=True)
    with pytest.raises(UsageError, match="--compile on is for one process"):
        device.resolve_compile("on")


def test_threads_are_the_option_then_the_resumes_then_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert device.set_threads(Machine()) == 1
        assert device.set_threads(Machine(), recorded=2) == 2
        assert device.set_threads(Machine(threads=1), recorded=2) == 1
    finally:
        torch.set_num_threads(before)


def test_channels_last_survives_one_input_channel() -> None:
    net = torch.nn.Conv2d(1, 8, 3)
    device.Place(CPU, "bf16").put(net)
    second = torch.nn.Conv2d(8, 8, 3)
    device.Place(CPU, "bf16").put(second)
    assert second.weight.is_contiguous(memory_format=torch.channels_last)
    x = torch.rand(2, 1, 16, 16).contiguous(memory_format=torch.channels_last)
    assert net(x).is_contiguous(memory_format=torch.channels_last)


def test_no_c_library_is_asked_for_outside_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("Windows has no library without a name"))
    for system in ("win32", "darwin"):
        monkeypatch.setattr("sys.platform", system)
        device._keep_freed_memory()
