"""The device that nets run on (`--gpu`), its precision and compilation, free memory, and the number of threads."""

import ctypes
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from murace.config import Machine
from murace.errors import MachineError, UsageError
from murace.system.launch import usable_cores
from murace.system.processes import process_group

NATIVE_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and arm64 spellings of the kernel
NATIVE_BF16_CAPABILITY = (8, 0)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
# Images over all epochs. A model, not a measurement: compiling takes a GPU one to three minutes, a step gets perhaps a
# fifth faster, and between 1,500 (densenet) and 8,000 (convnet) images/s are the targets without it.
COMPILE_PAYS = 1_500_000


@dataclass(frozen=True)
class Place:
    """A device and how arithmetic is done on it."""

    device: torch.device
    precision: str  # fp32 or bf16, never auto
    compiled: bool = False  # torch.compile around the forward pass of a training step
    captured: bool = True  # a whole training step in one CUDA graph, where there is CUDA and one process

    @property
    def name(self) -> str:
        """For records and messages: `cpu`, or the GPU's model."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"

    @property
    def memory_format(self) -> torch.memory_format:
        """bf16 convolutions are fast in channels-last only."""
        return torch.channels_last if self.precision == "bf16" else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[None]:
        """bf16 arithmetic over fp32 weights, where the precision says so."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def put(self, net: torch.nn.Module) -> None:
        """Move a net here, in the layout that suits the precision."""
        net.to(device=self.device)
        net.to(memory_format=self.memory_format)


def choose(machine: Machine) -> tuple[torch.device, str | None]:
    """The device for `--gpu`, and a line to say where the CPU is used without having been asked for.

    Absent: the first GPU, else the CPU. A number: that GPU or an error, never a quiet CPU run. Of several processes on
    this machine each takes its own: the one in its place among the numbers, or among all GPUs.

    Raises:
        UsageError: several GPUs for one process, or another number of them than processes.
        MachineError: there is no such GPU; the message says why and what there is.
    """
    if machine.gpu == "cpu":
        return torch.device("cpu"), None
    processes, cuda = process_group(), torch.cuda.is_available()
    if not machine.gpus and not cuda:
        threads = threads_asked(machine)
        return torch.device("cpu"), f"no GPU found: running on the CPU with {threads} thread{'s' * (threads > 1)}"
    count = processes.local_size
    numbers = machine.gpus or tuple(range(count))
    if len(numbers) != count:
        raise UsageError(f"--gpu {machine.gpu} names {len(numbers)} GPUs for {count} process{'es' * (count > 1)}")
    require_gpus(numbers)
    chosen = torch.device(f"cuda:{numbers[processes.local_rank]}")
    if processes.size > 1:
        torch.cuda.set_device(chosen)  # where torch.distributed works
    return chosen, None


def require_gpus(numbers: Sequence[int]) -> None:
    """Make sure that these GPUs are there.

    Raises:
        MachineError: one is not.
    """
    rerun = ",".join(map(str, numbers))
    if not torch.cuda.is_available():
        raise MachineError(f"--gpu {rerun}: {_why_no_cuda()}; to run on the CPU: --gpu cpu")
    count = torch.cuda.device_count()
    if max(numbers) >= count:
        seen = ", ".join(f"{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        raise MachineError(f"--gpu {rerun}: no such GPU; {count} visible: {seen}")


def _why_no_cuda() -> str:
    if torch.version.cuda is None:
        return "this torch is a build without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    return "no GPU, or no driver for it, was found"


def resolve_precision(asked: str, device: torch.device, recorded: str | None = None) -> str:
    """`auto` is `recorded` (a resume's), else bf16 where the hardware computes it natively (elsewhere it is slow)."""
    if asked != "auto":
        return asked
    if recorded is not None:
        return recorded
    return "bf16" if has_native_bf16(device) else "fp32"


def has_native_bf16(device: torch.device) -> bool:
    """Whether the hardware computes bf16 natively: all that `auto` asks of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= NATIVE_BF16_CAPABILITY
    return not NATIVE_BF16_FLAGS.isdisjoint(_cpu_flags())


def resolve_compile(asked: str, device: torch.device, images: int, recorded: bool | None = None) -> bool:
    """`auto` is `recorded` (a resume's), else on a GPU with a C compiler where `images`, over all epochs, repay it.

    Raises:
        UsageError: `on` in several processes.
    """
    if process_group().size > 1:
        if asked == "on":
            raise UsageError("--compile on is for one process: batch norm over several cannot be compiled")
        return False
    if asked != "auto":
        return asked == "on"
    if recorded is not None:
        return recorded
    has_compiler = any(map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang")))
    has_headers = (Path(sysconfig.get_path("include")) / "Python.h").is_file()  # Triton's launcher is a Python module
    return device.type == "cuda" and images >= COMPILE_PAYS and has_compiler and has_headers


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
