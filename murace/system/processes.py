"""Distributed training: the processes that train one net together, and what they exchange.

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
from murace.system.signals import ALWAYS, requested

LOST = (
    "another process of this run has ended before its time (its own message, if any, says why); "
    "what was finished is saved: run the same command again to go on"
)


@dataclass(frozen=True)
class ProcessGroup(Launch):
    """The rank of this process and the number of all that have joined, with the collective operations among them."""

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
        highest = torch.tensor([signum or 0])
        with _exchange():
            dist.all_reduce(highest, op=dist.ReduceOp.MAX)
        return int(highest) or None

    def check(self, reporter: Reporter) -> None:
        """Raise `Interrupted` if a signal has come to this or, at the same point, to any other process.

        A signal that comes during the exchange counts at the next check, in all processes.
        """
        if self.size == 1:
            reporter.check()
            return
        signum = self.first_signal(reporter.signum)
        if signum is not None:
            reporter.signum = signum
            raise Interrupted(signum)

    def collect(self, share: Tensor, count: int) -> Tensor:
        """Gather `count` rows on the CPU, of which process r has rows r, r + size, ... in `share`."""
        if self.size == 1:
            return share
        whole = share.new_zeros((count, *share.shape[1:]))
        whole[self.rank :: self.size] = share
        with _exchange():
            dist.all_reduce(whole)
        return whole

    def broadcast(self, message: Any) -> None:
        """Send a JSON value to the other processes; process 0 only."""
        if self.size > 1:
            text = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
            with _exchange():
                dist.broadcast(torch.tensor([len(text)]), src=0)
                dist.broadcast(text, src=0)

    def receive(self) -> Any:
        """Wait for a message that process 0 broadcasts.

        Raises:
            DismissedError: it has ended of its own accord instead, and has said why.
            PeerLostError: it has died.
        """
        length = torch.zeros(1, dtype=torch.int64)
        with _exchange():
            dist.broadcast(length, src=0)
            text = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(text, src=0)
        return json.loads(bytes(text.tolist()))


def process_group() -> ProcessGroup:
    """The group that `joined` has made; a process alone where there is none."""
    if not dist.is_initialized():
        return ProcessGroup()
    return ProcessGroup(dist.get_rank(), dist.get_world_size(), launch().local_rank, launch().local_size)


@contextmanager
def joined(reporter: Reporter | None = None) -> Iterator[None]:
    """Be one of the processes that torchrun has started, if it has; nothing otherwise.

    Until all have joined a signal ends the process at once, as by default: there is no way yet to tell the others.

    Raises:
        MachineError: the others cannot be reached.
        Interrupted: the reporter has received a signal before.
        PeerLostError: another process has died, though torchrun's signal to this one came first.
    """
    if launch().size == 1:
        yield
        return
    _join(reporter)
    has_ended_well = False
    try:
        yield
        has_ended_well = True
    except Interrupted as interruption:
        if interruption.signum == signal.SIGTERM and _any_process_died():
            raise PeerLostError(LOST) from interruption
        raise
    finally:
        _note_end()
        if has_ended_well or not torch.cuda.is_available():  # else it would wait for kernels that may never end
            dist.destroy_process_group()


def _join(reporter: Reporter | None) -> None:
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in (*ALWAYS, *requested())}
    try:
        if reporter is not None:
            reporter.check()
        # gloo carries messages and signals, and everything where there is no GPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        _store().set(_key("pid", dist.get_rank()), str(os.getpid()))
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MachineError(f"the processes of this run cannot reach each other ({reason})") from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _exchange() -> Iterator[None]:
    """Tell the failure of another process from one of this process's own."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error) or is_gpu_failure(error):  # of this process's own; a GPU tells it at the next call
            raise
        if dist.get_rank() and _has_noted_end(0):
            raise DismissedError("process 0 has ended") from error
        raise PeerLostError(LOST) from error


def _store() -> Any:
    """The key-value store of torch.distributed, which all processes read; under torchrun it outlives each of them."""
    return dist.distributed_c10d._get_default_store()


def _key(kind: str, rank: int) -> str:
    """Under which a process keeps its `pid`, or notes its `end`, in the store."""
    return f"{kind}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}/{rank}"


def _note_end() -> None:
    """Note in the store, before the others notice, that this process ends of its own accord and says itself why."""
    try:
        _store().set(_key("end", dist.get_rank()), "1")
    except RuntimeError:
        return  # without torchrun the store is in process 0, which has gone


def _has_noted_end(rank: int) -> bool:
    try:
        return bool(_store().check([_key("end", rank)]))
    except RuntimeError:
        return False


def _any_process_died() -> bool:
    """Whether a process has ended without noting it; unknown, and so no, where some run on other machines."""
    processes = process_group()
    if processes.size != processes.local_size:
        return False
    return any(not _has_noted_end(rank) and not _is_running(rank) for rank in range(processes.size))


def _is_running(rank: int) -> bool:
    try:
        if _store().check([_key("pid", rank)]):  # `get` would wait for it
            os.kill(int(_store().get(_key("pid", rank))), 0)
    except (ProcessLookupError, RuntimeError):
        return False
    return True
