"""How this process was launched: torchrun's environment (rank, number of processes), and the cores it may use.

No torch is imported here, since the console asks before it is loaded.
"""

import os
from dataclasses import dataclass

from murace.errors import UsageError

STARTED = "MURACE_STARTED_ITSELF"  # set where `--gpu 0,1` starts the processes
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
NUMBERS = tuple(name for name in VARIABLES if name != "MASTER_ADDR")


@dataclass(frozen=True)
class Launch:
    """One of `size` processes; `local_rank` and `local_size` count those of this machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def command(self) -> str:
        """How these processes are started, as far as the environment tells."""
        if self.size == 1 or STARTED in os.environ:
            return "murace"
        nodes = f"--nnodes {self.size // self.local_size} " if self.size > self.local_size else ""
        return f"torchrun {nodes}--nproc-per-node {self.local_size} -m murace"


def launch() -> Launch:
    """Read torchrun's variables; a single process where one is missing, empty or wrong (see `require_launch`)."""
    values = [os.environ.get(name, "") for name in VARIABLES]
    if not all(values) or _wrong():
        return Launch()
    return Launch(*map(int, values[:4]))


def require_launch() -> None:
    """Make sure that torchrun's variables, if they are there, can be those of one of several processes.

    Raises:
        UsageError: one is no number, or they contradict each other.
    """
    wrong = _wrong()
    if wrong and all(os.environ.get(name) for name in VARIABLES):
        said = ", ".join(f"{name}='{os.environ[name]}'" for name in wrong)
        raise UsageError(
            f"{said} in the environment: not what torchrun sets. For a single process: unset {' '.join(VARIABLES)}"
        )


def _wrong() -> list[str]:
    """Those of torchrun's variables that are no number, or a rank that is not below the number of processes."""
    values = {name: os.environ.get(name, "") for name in NUMBERS}
    wrong = [name for name, value in values.items() if not (value.isascii() and value.isdecimal())]
    if wrong:
        return wrong
    ranks = (("RANK", "WORLD_SIZE"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    return [name for rank, count in ranks if int(values[rank]) >= int(values[count]) for name in (rank, count)]


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
