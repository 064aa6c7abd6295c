"""(a) Training steps of the three nets: murace's way, the plain PyTorch way and the paper's own stack, in turn."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.sources import Source, draw
from tests.benchmarks.workers import Rounds, Worker, WorkerError, compare, in_turn, lacks, rate

PARAMETERS = {"convnet": 18_894_578, "resnet": 21_170_050, "densenet": 12_639_938}
BATCHES = {128: 16, 256: 8}
STEPS = {128: 4, 256: 3}
ROUNDS = 5
PLAIN_BARS = {"convnet": 2.2, "resnet": 1.8, "densenet": 1.8}  # at 256 pixels
KERAS_BARS = {"convnet": 3.0, "resnet": 2.2, "densenet": 2.2}
PLAIN, KERAS = "plain PyTorch (ImageFolder, DataLoader, fp32)", "Keras on TensorFlow"


@dataclass(frozen=True)
class Scale:
    """How large the comparison is."""

    nets: tuple[str, ...] = ("convnet", "resnet", "densenet")
    sizes: tuple[int, ...] = (128, 256)
    width: float = 1.0
    rounds: int = ROUNDS


QUICK = Scale(nets=("convnet",), sizes=(128,), width=0.1, rounds=1)


def measure(*, quick: bool = False) -> list[Line]:
    """Every net at every size."""
    scale = QUICK if quick else Scale()
    with tempfile.TemporaryDirectory() as folder:
        source = draw(Path(folder), 64)
        return [line for net in scale.nets for size in scale.sizes for line in of_net(net, size, source, scale)]


def of_net(net: str, size: int, source: Source, scale: Scale) -> list[Line]:
    """One net at one size against both others."""
    spec: Spec = {"work": "train", "net": net, "width": scale.width, "size": size}
    spec |= {"batch": BATCHES[size], "steps": STEPS[size], "files": str(source.files)}
    ours = Worker("worker_murace", spec | {"pixels": str(source.pixels(size))})
    missing = lacks("keras", "tensorflow") or ("not measured: only at width 1" if scale.width != 1 else "")
    with ExitStack() as stack:
        workers = {"murace": stack.enter_context(ours)}
        workers["plain"] = stack.enter_context(Worker("worker_plain", spec))
        if not missing:
            try:
                workers["keras"] = stack.enter_context(Worker("worker_keras", spec))
            except WorkerError as error:
                missing = f"not measured: {error}"
        if scale.width == 1:
            _check_parameters(net, workers)
        rounds = in_turn(workers, scale.rounds)
        way = f"{net} at {size} px, batch {BATCHES[size]}, {ours.facts['precision']}, {ours.facts['threads']} threads"
    return _lines(way, rounds, missing, bars=(PLAIN_BARS[net], KERAS_BARS[net]) if size == 256 else (None, None))


def _lines(way: str, rounds: Rounds, missing: str, *, bars: tuple[float | None, float | None]) -> list[Line]:
    ours = rounds["murace"]
    plain = compare("training", f"{way}, against {PLAIN}", ours, rounds["plain"], target=bars[0])
    what = f"{way}, against {KERAS}"
    if "keras" not in rounds:
        return [plain, Line("training", what, "images/s", rate(ours), None, None, bars[1], note=missing)]
    return [plain, compare("training", what, ours, rounds["keras"], target=bars[1])]


def _check_parameters(net: str, workers: Mapping[str, Worker]) -> None:
    """Nothing is compared but like with like."""
    for name, worker in workers.items():
        found = worker.facts["parameters"]
        if found != PARAMETERS[net]:
            raise WorkerError(f"{name}'s {net} has {found:,} parameters, not {PARAMETERS[net]:,}")
