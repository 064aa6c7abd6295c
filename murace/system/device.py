"""The device that nets run on (`--gpu`), its precision and compilation, free memory, and the number of threads."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from murace.config import Machine
from murace.errors import MachineError, UsageError
from murace.system.gpu import has_cuda, hides_gpus, name_of, require_gpus, sees_gpu, why_no_cuda, why_unusable
from murace.system.launch import usable_cores
from murace.system.processes import process_group
from murace.system.progress import Reporter

NATIVE_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and arm64 spellings of the kernel
NATIVE_BF16_CAPABILITY = (8, 0)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


@dataclass(frozen=True)
class Place:
    """A device and how arithmetic is done on it."""

    device: torch.device
    precision: str  # fp32 or bf16, never auto
    compiled: bool = False  # torch.compile around the forward pass of a training step
    graph: str = "auto"  # a training step as one CUDA graph: auto, on or off; see `training.step`

    @property
    def name(self) -> str:
        """For records and messages: `cpu`, or the GPU's model."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    @property
    def memory_format(self) -> torch.memory_format:
        """bf16 convolutions are fast in channels-last only."""
        return torch.channels_last if self.precision == "bf16" else torch.contiguous_format

    @property
    def searches(self) -> bool:
        """Whether cuDNN may search for its fastest algorithm, which pays where many steps have one shape."""
        return self.device.type == "cuda"

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Let cuDNN search, within this block alone: validation has many shapes, and each would be searched for."""
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = self.searches
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before

    def autocast(self) -> AbstractContextManager[None]:
        """bf16 arithmetic over fp32 weights, where the precision says so."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def put(self, net: torch.nn.Module) -> None:
        """Move a net here, in the layout that suits the precision."""
        net.to(device=self.device)
        net.to(memory_format=self.memory_format)


@dataclass(frozen=True)
class Fallback:
    """Why the CPU is used without having been asked for; a warning where there is a GPU that cannot be used."""

    message: str
    is_warning: bool = False

    def tell(self, reporter: Reporter) -> None:
        """Show it; a warning once, however many steps a command has."""
        (reporter.warn_once if self.is_warning else reporter.say)(self.message)


def choose(machine: Machine) -> tuple[torch.device, Fallback | None]:
    """The device for `--gpu`, and what to say where the CPU is used without having been asked for.

    Absent: the first GPU, else the CPU. A number: that GPU or an error, never a quiet CPU run. Of several processes on
    this machine each takes its own: the one in its place among the numbers, or among all GPUs. A GPU has to compute a
    small convolution first: torch also counts those as there that it holds no code for.

    Raises:
        UsageError: several GPUs for one process, or another number of them than processes; or `--graph on` for several.
        MachineError: there is no such GPU, it cannot be used, or none is there for `--graph on`; the message says why
            and what there is.
    """
    processes, count = process_group(), process_group().local_size
    if machine.graph == "on" and processes.size > 1:
        raise UsageError("--graph on is for one process: what several exchange does not go into a CUDA graph")
    if machine.gpu == "cpu":
        return torch.device("cpu"), None
    if not machine.gpus and not has_cuda():
        return _without_gpu(machine)
    numbers = machine.gpus or tuple(range(count))
    if len(numbers) != count:
        raise UsageError(f"--gpu {machine.gpu} names {len(numbers)} GPUs for {count} process{'es' * (count > 1)}")
    require_gpus(numbers)
    chosen = torch.device(f"cuda:{numbers[processes.local_rank]}")
    torch.cuda.set_device(chosen)  # else the first GPU is touched too, whichever this one is
    fault = why_unusable(chosen)
    if fault is None:
        return chosen, None
    if machine.gpus or processes.size > 1 or machine.graph == "on":
        asked = f"--gpu {machine.gpu}: " if machine.gpus else ""
        raise MachineError(f"{asked}{fault}; to run on the CPU: --gpu cpu")
    return torch.device("cpu"), Fallback(f"{fault}: {_on_the_cpu(machine)}", is_warning=True)


def _without_gpu(machine: Machine) -> tuple[torch.device, Fallback]:
    """The CPU: a remark where there is no GPU or it is hidden on purpose, a warning where it only cannot be reached."""
    if machine.graph == "on":
        raise MachineError(f"--graph on needs a GPU: {why_no_cuda()}; run with --graph auto")
    if sees_gpu() and not hides_gpus():
        return torch.device("cpu"), Fallback(f"{why_no_cuda()}: {_on_the_cpu(machine)}", is_warning=True)
    return torch.device("cpu"), Fallback(f"no GPU found: {_on_the_cpu(machine)}")


def _on_the_cpu(machine: Machine) -> str:
    threads = threads_asked(machine)
    return f"running on the CPU with {threads} thread{'s' * (threads > 1)}"


def resolve_precision(asked: str, device: torch.device, recorded: str | None = None) -> str:
    """A training's: `auto` is `recorded` (a resume's), else bf16 where the hardware computes it natively.

    Raises:
        MachineError: bf16 on a GPU that does not compute it.
    """
    if asked == "auto" and recorded is None:
        return "bf16" if has_native_bf16(device) else "fp32"
    wanted = recorded if asked == "auto" and recorded is not None else asked
    if wanted == "bf16" and _lacks_bf16(device):
        lacks = f"{name_of(device)} does not compute bf16"
        if asked == "bf16":
            raise MachineError(f"{lacks}: run with --precision fp32")
        raise MachineError(f"the unfinished run is in bf16, and {lacks}: go on on another GPU, or start with --fresh")
    return wanted


def reading_place(device: torch.device, recorded: str, reporter: Reporter | None = None) -> Place:
    """Where a trained net answers: in the precision of its training; in fp32, and it is said, on a GPU without bf16."""
    if recorded == "bf16" and _lacks_bf16(device):
        if reporter is not None:
            reporter.warn_once(
                f"{name_of(device)} does not compute bf16: nets that were trained in it answer in fp32, "
                "so their probabilities differ slightly from those at home"
            )
        return Place(device, "fp32")
    return Place(device, recorded)


def has_native_bf16(device: torch.device) -> bool:
    """Whether the hardware computes bf16 natively: all that `auto` asks of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= NATIVE_BF16_CAPABILITY
    return not NATIVE_BF16_FLAGS.isdisjoint(_cpu_flags())


def _lacks_bf16(device: torch.device) -> bool:
    """Whether bf16 does not work at all: a CPU without it is slow, an older GPU has no such convolutions."""
    return device.type == "cuda" and not has_native_bf16(device)


def resolve_compile(asked: str, recorded: bool | None = None) -> bool:
    """`auto` is `recorded` (a resume's), else off: what it brings has not been measured on a GPU.

    Raises:
        UsageError: `on` in several processes.
    """
    if process_group().size > 1:
        if asked == "on":
            raise UsageError("--compile on is for one process: batch norm over several cannot be compiled")
        return False
    return recorded is True if asked == "auto" else asked == "on"


def _cpu_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return set()
    lines = (line.partition(":") for line in info.read_text(errors="replace").splitlines())
    return next((set(value.split()) for key, _, value in lines if key.strip() in ("flags", "Features")), set())


def free_memory() -> int | None:
    """Bytes of the machine's memory that a process may still take, in its control group too; None where unknown."""
    found = []
    info = Path("/proc/meminfo")
    if info.is_file():
        lines = dict(line.split(":") for line in info.read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    group = Path("/sys/fs/cgroup")
    limit, used, details = (group / f"memory.{name}" for name in ("max", "current", "stat"))
    if limit.is_file() and (text := limit.read_text().strip()).isdecimal():
        cache = next(
            int(line.split()[1]) for line in details.read_text().splitlines() if line.startswith("inactive_file")
        )
        found.append(int(text) - int(used.read_text()) + cache)  # cached files make room at once
    return min(found, default=None)


def set_threads(machine: Machine, recorded: int | None = None) -> int:
    """Set torch's threads: `--threads`, else `recorded` (a resume's), else the cores this process may use."""
    _keep_freed_memory()
    torch.set_num_threads(machine.threads or recorded or threads_asked(machine))
    return torch.get_num_threads()


def _keep_freed_memory() -> None:
    """Let glibc keep what tensors give back: each step asks for the same again, and new pages cost a tenth of its time.

    Only glibc has such a function, and on Windows not even the call that looks for it: nothing is changed elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(M_MMAP_MAX, 0)
        adjust(M_TRIM_THRESHOLD, 2**31 - 1)


def threads_asked(machine: Machine) -> int:
    """How many threads a training has that does not resume: `--threads`, else OMP_NUM_THREADS, else the cores."""
    environment = os.environ.get("OMP_NUM_THREADS", "")
    if machine.threads:
        return machine.threads
    if environment.isdecimal() and int(environment) > 0:
        return int(environment)
    return usable_cores()
