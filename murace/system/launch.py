"""How this process was launched: torchrun's environment (rank, number of processes), and the cores it may use.

No torch is imported here, since the console asks before it is loaded.
"""

import os
from dataclasses import dataclass

STARTED = "MURACE_STARTED_ITSELF"  # set where `--gpu 0,1` starts the processes
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


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
    """Read torchrun's variables; a single process where torchrun has not started this one."""
    if not all(name in os.environ for name in VARIABLES):
        return Launch()
    return Launch(*(int(os.environ[name]) for name in VARIABLES[:4]))


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
