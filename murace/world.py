"""Several processes that train one net: who this one is, and the few things they tell each other.

`torchrun` starts them; this is a thin view of torch.distributed, whose one process group belongs to the whole process.
Without it a process is alone, and every function here does nothing. Process 0 leads: it alone writes, and decides.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from murace.errors import DismissedError, Interrupted, MachineError, PeerLostError
from murace.torchrun import Launch, launch
from murace.watch import Watch


@dataclass(frozen=True)
class World(Launch):
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

    def check(self, watch: Watch) -> None:
        """Raise `Interrupted` if a signal has come to this or, at the same point, to any other process.

        A signal that comes while they tell each other is heard the next time, by all.
        """
        if self.size == 1:
            watch.check()
            return
        heard = self.first_signal(watch.signum)
        if heard is not None:
            watch.signum = heard
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

    def tell(self, word: Any) -> None:
        """Give the other processes a JSON value; process 0 only."""
        if self.size > 1:
            text = torch.frombuffer(bytearray(json.dumps(word).encode()), dtype=torch.uint8)
            with _exchange():
                dist.broadcast(torch.tensor([len(text)]), src=0)
                dist.broadcast(text, src=0)

    def hear(self) -> Any:
        """Wait for what process 0 tells.

        Raises:
            DismissedError: it has ended instead.
        """
        length = torch.zeros(1, dtype=torch.int64)
        try:
            dist.broadcast(length, src=0)
            text = torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(text, src=0)
        except RuntimeError as error:
            raise DismissedError("process 0 has ended") from error
        return json.loads(bytes(text.tolist()))


def current() -> World:
    """This process's place in the group that `joined` has made."""
    if not dist.is_initialized():
        return World()
    return World(dist.get_rank(), dist.get_world_size(), launch().local_rank, launch().local_size)


@contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes that torchrun has started, if it has; nothing otherwise.

    Raises:
        MachineError: the others cannot be reached.
    """
    if launch().size == 1:
        yield
        return
    try:
        # gloo carries words and signals, and everything where there is no GPU
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MachineError(f"the processes of this run cannot reach each other ({reason})") from error
    is_whole = False
    try:
        yield
        is_whole = True
    finally:
        if is_whole or not torch.cuda.is_available():  # else it would wait for kernels that may never end
            dist.destroy_process_group()


@contextmanager
def _exchange() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise PeerLostError(
            "another process of this run has ended before its time (its own message, if any, says why); "
            "the finished epochs are saved: run the same command again to go on"
        ) from error
