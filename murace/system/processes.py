"""Several processes that train one net: who this one is, and the few things they tell each other.

`torchrun` starts them; this is a thin view of torch.distributed, whose one process group belongs to the whole process.
Without it a process is alone, and every function here does nothing. Process 0 leads: it alone writes, and decides.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from murace.errors import DismissedError, Interrupted, MachineError, PeerLostError
from murace.system.failures import is_gpu_failure, is_out_of_memory
from murace.system.launch import Launch, launch
from murace.system.progress import Reporter

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOST = (
    "another process of this run has ended before its time (its own message, if any, says why); "
    "what was finished is saved: run the same command again to go on"
)


@dataclass(frozen=True)
class ProcessGroup(Launch):
    """This process among all that have joined."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.rank == 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each float32 tensor by its sum over all processes, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _exchange():
            dist.all_reduce(flat)
        totals = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, totals, strict=True):
            tensor.copy_(total.view(tensor.shape))

    def first_signal(self, signum: int | None) -> int | None:
        """A signal that any process has received: all stop at the same step."""
        if self.size == 1:
            return signum
        heard = torch.tensor([signum or 0])
        with _exchange():
            dist.all_reduce(heard, op=dist.ReduceOp.MAX)
        return int(heard) or None

    def check(self, reporter: Reporter) -> None:
        """Raise `Interrupted` if a signal has come to this or, at the same point, to any other process.

        A signal that comes while they tell each other is heard the next time, by all.
        """
        if self.size == 1:
            reporter.check()
            return
        heard = self.first_signal(reporter.signum)
        if heard is not None:
            reporter.signum = heard
            raise Interrupted(heard)

    def collect(self, share: Tensor, count: int) -> Tensor:
        """Put together what each process has of `count` rows on the CPU: process r had rows r, r + size, ..."""
        if self.size == 1:
            return share
        whole = share.new_zeros((count, *share.shape[1:]))
        whole[self.rank :: self.size] = share
        with _exchange():
            dist.all_reduce(whole)
        return whole

    def broadcast(self, word: Any) -> None:
        """Give the other processes a JSON value; process 0 only."""
        if self.size > 1:
            text = torch.frombuffer(bytearray(json.dumps(word).encode()), dtype=torch.uint8)
            with _exchange():
                dist.broadcast(torch.tensor([len(text)]), src=0)
                dist.broadcast(text, src=0)

    def receive(self) -> Any:
        """Wait for what process 0 tells.

        Raises:
            DismissedError: it has ended instead, and has said why.
            PeerLostError: it has vanished.
        """
        length = torch.zeros(1, dtype=torch.int64)
        with _exchange():
            dist.broadcast(length, src=0)
            text = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(text, src=0)
        return json.loads(bytes(text.tolist()))


def process_group() -> ProcessGroup:
    """This process's place in the group that `joined` has made."""
    if not dist.is_initialized():
        return ProcessGroup()
    return ProcessGroup(dist.get_rank(), dist.get_world_size(), launch().local_rank, launch().local_size)


@contextmanager
def joined(reporter: Reporter | None = None) -> Iterator[None]:
    """Be one of the processes that torchrun has started, if it has; nothing otherwise.

    Until all have joined a signal ends the process as if nobody listened: it could not be told to the others.

    Raises:
        MachineError: the others cannot be reached.
        Interrupted: the watch has heard a signal before.
        PeerLostError: another process has vanished, though torchrun's signal to this one came first.
    """
    if launch().size == 1:
        yield
        return
    _join(reporter)
    is_whole = False
    try:
        yield
        is_whole = True
    except Interrupted as stopped:
        if stopped.signum == signal.SIGTERM and _someone_vanished():
            raise PeerLostError(LOST) from stopped
        raise
    finally:
        _say_goodbye()
        if is_whole or not torch.cuda.is_available():  # else it would wait for kernels that may never end
            dist.destroy_process_group()


def _join(reporter: Reporter | None) -> None:
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    try:
        if reporter is not None:
            reporter.check()
        # gloo carries words and signals, and everything where there is no GPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        _board().set(_pid_of(dist.get_rank()), str(os.getpid()))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MachineError(f"the processes of this run cannot reach each other ({reason})") from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _exchange() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):  # of this process's own; a GPU tells it at the next call
            raise
        if dist.get_rank() and _said_goodbye(0):
            raise DismissedError("process 0 has ended") from error
        raise PeerLostError(LOST) from error


def _board() -> Any:
    """Where the processes leave word for each other; under torchrun it outlives each of them."""
    return dist.distributed_c10d._get_default_store()


def _pid_of(rank: int) -> str:
    return f"pid/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{rank}"


def _goodbye_of(rank: int) -> str:
    return f"goodbye/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{rank}"


def _say_goodbye() -> None:
    """Tell the others, before they notice, that this process ends of its own accord and says itself why."""
    try:
        _board().set(_goodbye_of(dist.get_rank()), "1")
    except RuntimeError:
        return  # without torchrun the board is in process 0, which has gone


def _said_goodbye(rank: int) -> bool:
    try:
        return bool(_board().check([_goodbye_of(rank)]))
    except RuntimeError:
        return False


def _someone_vanished() -> bool:
    """Whether a process of this machine has ended without a goodbye; those of others cannot be looked at."""
    processes = process_group()
    if processes.size != processes.local_size:
        return False
    return any(not _said_goodbye(rank) and not _is_running(rank) for rank in range(processes.size))


def _is_running(rank: int) -> bool:
    try:
        if _board().check([_pid_of(rank)]):  # `get` would wait for it
            os.kill(int(_board().get(_pid_of(rank))), 0)
    except (ProcessLookupError, RuntimeError):
        return False
    return True
