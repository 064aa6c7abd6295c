from pathlib import Path

import pytest
import torch

from murace.config import Machine
from murace.errors import MachineError, UsageError
from murace.system import device
from murace.system.processes import ProcessGroup

CPU = torch.device("cpu")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_is_said_unless_it_was_asked_for() -> None:
    assert device.choose(Machine(gpu="cpu")) == (CPU, None)
    chosen, remark = device.choose(Machine(threads=3))
    assert chosen == CPU
    assert remark == "no GPU found: running on the CPU with 3 threads"


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_asked_for_is_never_quietly_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match=r"--gpu 0: .* to run on the CPU: --gpu cpu"):
        device.choose(Machine(gpu="0"))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(MachineError, match="CUDA_VISIBLE_DEVICES hides every GPU"):
        device.choose(Machine(gpu="0"))
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(MachineError, match="a build without CUDA"):
        device.choose(Machine(gpu="0"))


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there_is_refused_with_those_that_are() -> None:
    assert device.choose(Machine()) == (torch.device("cuda:0"), None)
    assert device.choose(Machine(gpu="1"))[0] == torch.device("cuda:1")
    with pytest.raises(MachineError, match=r"--gpu 3: no such GPU; 2 visible: 0 \(card 0\), 1 \(card 1\)"):
        device.choose(Machine(gpu="3"))


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


def test_auto_compiles_on_a_gpu_where_the_epochs_repay_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, paper = torch.device("cuda:0"), 100 * 32_128
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: path.name == "Python.h")
    assert device.resolve_compile("auto", gpu, paper)
    assert not device.resolve_compile("auto", gpu, 30 * 4_000)
    assert not device.resolve_compile("auto", CPU, paper)
    assert device.resolve_compile("on", CPU, 1)
    assert not device.resolve_compile("off", gpu, paper)
    assert device.resolve_compile("auto", CPU, 1, recorded=True)
    assert not device.resolve_compile("auto", gpu, paper, recorded=False)
    with monkeypatch.context() as several:
        several.setattr(device, "process_group", lambda: ProcessGroup(size=2, local_size=2))
        assert not device.resolve_compile("auto", gpu, paper, recorded=True)
        with pytest.raises(UsageError, match="--compile on is for one process"):
            device.resolve_compile("on", gpu, paper)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not device.resolve_compile("auto", gpu, paper)


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
