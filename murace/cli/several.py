"""Run a command in several processes, one for each GPU of `--gpu 0,1`, by torchrun's launcher."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from murace.config import Machine
from murace.errors import Interrupted, MachineError
from murace.system.launch import STARTED, launch, usable_cores
from murace.system.progress import Reporter
from murace.system.signals import requested


@contextmanager
def together(machine: Machine, reporter: Reporter | None = None) -> Iterator[None]:
    """Work with the other processes of this run, if there are any; start them where `--gpu` names several GPUs.

    Raises:
        MachineError: one of the GPUs is not there.
        Interrupted: a signal came before all processes were there.
    """
    from murace.system.gpu import require_gpus
    from murace.system.processes import joined

    if len(machine.gpus) > 1 and launch().size == 1:
        require_gpus(machine.gpus)
        raise typer.Exit(start(len(machine.gpus), sys.argv[1:]))
    with joined(reporter):
        yield


def start(processes: int, words: Sequence[str]) -> int:
    """Run `murace WORDS` in that many processes; returns the exit code of the first that failed."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the processes say what is wrong themselves
    os.environ[STARTED] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"murace-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    config.signals_to_handle = ",".join([config.signals_to_handle, *(number.name for number in requested())])
    try:
        elastic_launch(config, sys.executable)("-m", "murace", *words)
    except SignalException as stopped:
        return Interrupted(stopped.sigval).exit_code
    except ChildFailedError as failed:
        codes = [failure.exitcode for _, failure in sorted(failed.failures.items())]
        return next((code for code in codes if code > 0), MachineError.exit_code)  # else they were killed
    return 0
