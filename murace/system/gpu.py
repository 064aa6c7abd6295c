"""Whether a GPU can be used, and why not: its driver, the code that torch holds for its architecture, its memory."""

import os
import re
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from murace.errors import MachineError
from murace.system.failures import is_out_of_memory

BUILDS = "https://pytorch.org/get-started/locally"  # where torch's builds for each CUDA are listed
_COMPLAINTS: list[str] = []  # torch's, about the driver


def require_gpus(numbers: Sequence[int]) -> None:
    """Make sure that these GPUs are there.

    Raises:
        MachineError: one is not.
    """
    asked = ",".join(map(str, numbers))
    if not has_cuda():
        raise MachineError(f"--gpu {asked}: {why_no_cuda()}; to run on the CPU: --gpu cpu")
    count = torch.cuda.device_count()
    if max(numbers) >= count:
        seen = ", ".join(f"{i} ({torch.cuda.get_device_name(i)})" for i in range(count))
        raise MachineError(f"--gpu {asked}: no such GPU; {count} visible: {seen}")


def why_unusable(device: torch.device) -> str | None:
    """Why this GPU cannot compute a small convolution, forward and backward, in a message; None where it can.

    Raises:
        MachineError: it could, but other programs have taken its memory.
    """
    try:
        _convolve(device)
    except RuntimeError as error:
        name, reason = name_of(device), str(error).partition("\n")[0]
        if is_out_of_memory(error):
            raise MachineError(f"{name} has no memory left ({reason}): close what uses it, or use another") from error
        architecture, held = "sm_{}{}".format(*torch.cuda.get_device_capability(device)), torch.cuda.get_arch_list()
        if "no kernel image" not in reason and "ARCH_MISMATCH" not in reason and _has_code(architecture, held):
            return f"{name} fails at a small convolution ({reason})"
        return (
            f"this torch holds no code for {name}, which is {architecture}: it holds {', '.join(held)}. "
            f"Install a torch built for {architecture}, as those for an older CUDA are ({BUILDS})"
        )
    return None


def _convolve(device: torch.device) -> None:
    """A convolution and its gradients, waited for: a kernel's error comes late."""
    images, weights = torch.ones(2, 1, 8, 8, device=device), torch.ones(4, 1, 3, 3, device=device, requires_grad=True)
    F.conv2d(images, weights).sum().backward()  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)


def _has_code(architecture: str, held: Sequence[str]) -> bool:
    """Whether code in `held` runs on this architecture: that of its own major version and at most its minor one."""
    major, minor = architecture[3:-1], int(architecture[-1])
    numbers = (re.fullmatch(r"sm_(\d+)(\d)[af]?", name) for name in held)
    return any(found[1] == major and int(found[2]) <= minor for found in numbers if found)


def has_cuda() -> bool:
    """Whether torch can reach a GPU. Its own words where not, which it says once as a warning, are kept for ours."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        is_available = torch.cuda.is_available()
    _COMPLAINTS.extend(str(warning.message).partition("\n")[0] for warning in said)
    return is_available


def why_no_cuda() -> str:
    """Why torch reaches no GPU, in a message that names what to install or change."""
    if torch.version.cuda is None:
        also = f", and this machine has a GPU: install one with CUDA ({BUILDS})" if sees_gpu() else ""
        return f"this torch is a build without CUDA{also}"
    if hides_gpus():
        return "CUDA_VISIBLE_DEVICES hides every GPU"
    if not sees_gpu():
        return "no GPU, or no driver for it, was found"
    built, reason = f"this torch (CUDA {torch.version.cuda})", " ".join(_COMPLAINTS)
    if reason and "too old" not in reason:
        return f"there is a GPU, but its driver does not work with {built}: {reason}"
    found = re.search(r"found version (\d+)", reason)
    version = "{}.{}".format(*divmod(int(found[1]) // 10, 100)) if found else ""
    return (
        f"the GPU's driver{f' (CUDA {version})' if version else ''} is too old for {built}: update the driver, "
        f"or install a torch built for {f'CUDA {version} or older' if version else 'an older CUDA'} ({BUILDS})"
    )


def sees_gpu() -> bool:
    """Whether the machine has a GPU and a driver of NVIDIA's, whatever torch makes of them."""
    return shutil.which("nvidia-smi") is not None or Path("/dev/nvidia0").exists()


def hides_gpus() -> bool:
    """Whether `CUDA_VISIBLE_DEVICES` hides every GPU from torch."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")


def name_of(device: torch.device) -> str:
    """How a message calls a GPU: `GPU 0 (its model)`."""
    return f"GPU {device.index or 0} ({torch.cuda.get_device_name(device)})"
