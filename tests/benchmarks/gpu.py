"""The GPU part: what each technique is worth, how far from the roofline we are, and how long the whole paper takes.

First of all: whether a step means the same in every way that it may run. Every section and every measurement has a time
limit of its own, and what fails is a line with its reason. The cheapest and most wanted comes first.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.benchmarks.gpu_bench import DRY, LIMIT, Bench, Scale
from tests.benchmarks.gpu_guard import guard
from tests.benchmarks.gpu_variants import compiling, techniques
from tests.benchmarks.lines import Line
from tests.benchmarks.roofline import Machine
from tests.benchmarks.table import failed
from tests.benchmarks.variants import OURS
from tests.benchmarks.whole_paper import PARTS, Epoch, minutes
from tests.benchmarks.workers import WorkerError

TARGETS = {  # images/s at 256 pixels: at the paper's batch, and above
    "convnet": (8000.0, 9000.0),
    "resnet": (3000.0, 3500.0),
    "densenet": (1500.0, 2600.0),
}
MINUTES = (75.0, 50.0)  # the whole paper, likewise
FIRST_EPOCH_LIMIT, EPOCH_LIMIT = 240.0, 120.0  # seconds
SECTIONS = {  # each with its seconds, in this order
    "guard": 200.0,
    "paper": 450.0,
    "techniques": 300.0,
    "paper-large": 450.0,
    "compile": 600.0,
    "techniques-large": 300.0,
    "compile-large": 600.0,
}


def measure(gpu: str, *, only: Iterable[str] = SECTIONS, limit: float = 570.0) -> Iterator[Line]:
    """The lines of these sections, as they come; `limit` in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        scale = DRY if gpu == "cpu" else Scale()
        bench = Bench(gpu, scale, ends=time.monotonic() + limit, folder=Path(folder))
        ends = bench.ends
        yield from machine(bench)
        for section in (name for name in SECTIONS if name in set(only)):
            bench.ends = min(ends, time.monotonic() + SECTIONS[section])
            try:
                yield from _section(bench, section)
            except Exception as error:
                yield failed(bench.part, section, f"{type(error).__name__}: {error}")


def _section(bench: Bench, section: str) -> Iterator[Line]:
    if section == "guard":
        yield from guard(bench)
        return
    large = section.endswith("-large")
    if section.startswith("paper"):
        yield from paper(bench, large=large)
        return
    kind = techniques if section.startswith("techniques") else compiling
    nets = ("convnet",) if bench.is_dry and kind is compiling else bench.scale.batches  # on a CPU it takes minutes
    for net in nets:
        yield from kind(bench, net, bench.batch(net, large=large))


def machine(bench: Bench) -> Iterator[Line]:
    """The two rates that make the roofline."""
    try:
        with bench.worker("convnet", 2) as worker:
            asked = {"do": "machine", "matrix": bench.scale.matrix, "copy": bench.scale.copy}
            bench.machine = Machine(**worker.put(asked, limit=bench.left(LIMIT)))
    except WorkerError as error:
        yield failed(bench.part, "the machine's rates", error)
        return
    side = f"{bench.scale.matrix:,}"
    yield Line(bench.part, f"bf16 product of two {side} x {side} matrices", "TFLOP/s", bench.machine.matrix, None, None)
    yield Line(bench.part, "copy within the device, bytes read and written", "TB/s", bench.machine.copy, None, None)


def paper(bench: Bench, *, large: bool) -> Iterator[Line]:
    """Epochs of real size of every net, and from them the whole paper."""
    epochs = {}
    for net in bench.scale.batches:
        batch = bench.batch(net, large=large)
        what = f"{net}, batch {batch}, {OURS.name}, epochs of {bench.scale.train:,} images"
        try:
            with bench.worker(net, batch) as worker:
                first, second = (bench.epoch(worker, OURS, limit=limit) for limit in (FIRST_EPOCH_LIMIT, EPOCH_LIMIT))
                seconds = worker.put({"do": "forward", "images": bench.scale.test}, limit=bench.left(LIMIT))["seconds"]
        except WorkerError as error:
            yield failed(bench.part, what, error)
            continue
        epochs[net] = Epoch(second["train"], second["rest"], max(0.0, first["train"] - second["train"]), seconds)
        yield _against_target(bench, what, "images/s", second["rate"], TARGETS[net][large], memory=first["memory"])
        yield from _roofline(bench, net, what, second["rate"])
    what = f"the whole paper, {'batch ' + str(bench.scale.large) if large else 'batches of the paper'}"
    if len(epochs) < len(bench.scale.batches):
        yield failed(bench.part, what, "an epoch is missing")
    else:
        yield _against_target(bench, what, "min", minutes(epochs), MINUTES[large], note=PARTS)


def _against_target(
    bench: Bench, what: str, unit: str, ours: float, target: float, *, memory: float | None = None, note: str = ""
) -> Line:
    """A dry run has no target: what it measures means nothing."""
    if bench.is_dry:
        return Line(bench.part, what, unit, ours, None, None, memory=(memory, None), note=note)
    ratio = target / ours if unit == "min" else ours / target
    return Line(bench.part, f"{what}, against the target", unit, ours, target, ratio, 1.0, (memory, None), note)


def _roofline(bench: Bench, net: str, what: str, rate: float) -> Iterator[Line]:
    if bench.machine is not None and not bench.is_dry:
        arithmetic, memory = bench.machine.limits(net)
        limit = bench.machine.limit(net)
        note = f"limits by arithmetic {arithmetic:,.0f}, by memory with batch norm and ReLU fused {memory:,.0f}"
        yield Line(bench.part, f"{what}, against the roofline", "images/s", rate, limit, rate / limit, note=note)
