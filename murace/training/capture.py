"""A training step captured as one CUDA graph, and the comparison of what it does with what the eager step does.

A graph may be wrong without any error: it replays what it has recorded, at the addresses of then. So a step is done
twice from the same beginning, eagerly and by the graph, and its results are compared. Only `cuda_capture` needs a GPU.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import torch
from torch import Tensor

from murace.training.checkpoint import flatten_adam
from murace.training.state import Training

Work = Callable[[], None]
Capture = Callable[[Work], Work]  # records a step and returns what replays it; the step itself is not done
Tensors = Mapping[str, Tensor]

# How far the two may be apart, relative to the eager step: a GPU adds up in another order each time.
LOSS = {"fp32": 1e-3, "bf16": 1e-2}
STATISTICS, MOMENTS = 1e-3, 1e-2
# The weights themselves are not compared: Adam makes a whole step of a gradient that is nothing but rounding, whatever
# its sign. How far they move all together hardly depends on that.
MOVE = 0.1


def changing(training: Training, position: Tensor) -> dict[str, Tensor]:
    """Every tensor that a step changes, itself: weights, buffers, Adam's state, the losses and the `position`."""
    net = training.net
    return {
        **{f"weight {name}": tensor.detach() for name, tensor in net.named_parameters()},
        **{f"buffer {name}": tensor for name, tensor in net.named_buffers()},
        **flatten_adam(training.optimizer),
        "losses": training.losses,
        "position": position,
    }


def copied(tensors: Tensors) -> dict[str, Tensor]:
    """Copies on the CPU, where there is memory for them."""
    return {name: tensor.to("cpu", copy=True) for name, tensor in tensors.items()}


def put_back(tensors: Tensors, copies: Tensors) -> None:
    """Give tensors the content of their copies, where they are: a graph knows them by address."""
    for name, tensor in tensors.items():
        tensor.copy_(copies[name])


def difference(before: Tensors, eager: Tensors, replayed: Tensors, *, precision: str) -> str | None:
    """In words, what the replayed step did otherwise than the eager one, from the same `before`; None: they agree."""
    step, kinds = int(before["position"]), _by_kind(eager)
    for name in kinds.pop("counter"):
        if not torch.equal(replayed[name].to("cpu"), eager[name]):
            return f"{name} did not count on"
    expected, found = (float(tensors["losses"][step]) for tensors in (eager, replayed))
    if not math.isfinite(expected):  # the training ends of it, with a message of its own
        return None
    moved = _moved_apart(kinds.pop("weight"), before, eager, replayed)
    gaps = {
        "the loss": (_relative(found - expected, expected), LOSS[precision]),
        "how far the weights move": (moved, MOVE),
        **{
            kind: (_apart(names, eager, replayed), STATISTICS if kind == "buffer" else MOMENTS)
            for kind, names in kinds.items()
        },
    }
    return next((f"{what} differs by {gap:.2g}" for what, (gap, most) in gaps.items() if not gap <= most), None)


def _by_kind(tensors: Tensors) -> dict[str, list[str]]:
    """The names of tensors that are compared alike: `counter`, `weight`, `buffer`, and each of Adam's moments."""
    kinds: dict[str, list[str]] = {"counter": ["position"], "weight": []}
    for name in sorted(set(tensors) - {"position", "losses"}):
        first, last = name.partition(" ")[0], name.rpartition(".")[2]
        kind = first if first in ("weight", "buffer") else last
        is_counter = kind == "step" or (kind == "buffer" and not tensors[name].is_floating_point())
        kinds.setdefault("counter" if is_counter else kind, []).append(name)
    return kinds


def _apart(names: Iterable[str], eager: Tensors, replayed: Tensors) -> float:
    """The distance of all these tensors together, by the length of the eager ones."""
    gap = _length(replayed[name].double() - _beside(eager, name, replayed) for name in names)
    return _relative(gap, _length(eager[name].double() for name in names))


def _moved_apart(names: Iterable[str], before: Tensors, eager: Tensors, replayed: Tensors) -> float:
    """By how much the replayed step is longer or shorter than the eager one, by the length of that."""
    moved = _length(replayed[name].double() - _beside(before, name, replayed) for name in names)
    expected = _length(eager[name].double() - before[name].double() for name in names)
    return _relative(moved - expected, expected)


def _beside(copies: Tensors, name: str, tensors: Tensors) -> Tensor:
    """A copy, where the tensor itself is."""
    return copies[name].to(tensors[name].device).double()


def _length(tensors: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.square().sum()) for tensor in tensors))


def _relative(gap: float, expected: float) -> float:
    """How large a gap is; none at all is none also beside nothing."""
    return abs(gap) / abs(expected) if gap and expected else abs(gap) and math.inf


def cuda_capture(stream: torch.cuda.Stream) -> Capture:
    """A capture of steps on this stream into CUDA graphs.

    Raises, when it captures, what went wrong first: torch's context ends the capture once more, which hides that, and
    may leave the thread on its stream. The half graph is dropped.
    """

    def capture(work: Work) -> Work:
        device, failed = stream.device, list[Exception]()
        current, graph = torch.cuda.current_stream(device), torch.cuda.CUDAGraph()
        torch.cuda.synchronize(device)
        try:
            with (
                torch.cuda.device(device),
                # thread-local: another thread may be reading ahead
                torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
            ):
                _noting(work, failed)
        except Exception as error:
            with suppress(RuntimeError):
                graph.reset()
            raise (failed[0] if failed else error) from None
        finally:
            torch.cuda.set_stream(current)
        return graph.replay

    return capture


def _noting(work: Work, failed: list[Exception]) -> None:
    try:
        work()
    except Exception as error:
        failed.append(error)
        raise
