"""(b) The input pipeline alone, against ImageFolder with a DataLoader, and against what the fastest net can use."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.sources import draw
from tests.benchmarks.workers import Worker, compare, in_turn

FASTEST, SIZE, BATCH = "convnet", 256, 32
BAR = 20.0  # times the fastest net's training rate


def measure(*, quick: bool = False) -> list[Line]:
    """Gather and augment, nothing else; then a round of training in the same turn."""
    size, width, rounds = (64, 0.1, 1) if quick else (SIZE, 1.0, 5)
    spec: Spec = {"size": size, "batch": BATCH, "steps": 2 if quick else 24}
    train = {"work": "train", "net": FASTEST, "width": width, "batch": 8, "steps": 3}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        source = draw(Path(folder), 256 if not quick else 32)
        spec |= {"pixels": str(source.pixels(size)), "files": str(source.files)}
        begun = {
            "murace": ("worker_murace", spec | {"work": "gather"}),
            "plain": ("worker_plain", spec | {"work": "load"}),
            "train": ("worker_murace", spec | train),
        }
        workers = {name: stack.enter_context(Worker(module, given)) for name, (module, given) in begun.items()}
        found = in_turn(workers, rounds)
    way = f"pixels to augmented batches at {size} px"
    plain = f"{way}, against ImageFolder + DataLoader with 2 workers"
    net = f"{way}, against training {FASTEST}"
    return [
        compare("pipeline", plain, found["murace"], found["plain"], target=None),
        compare("pipeline", net, found["murace"], found["train"], target=BAR),
    ]
