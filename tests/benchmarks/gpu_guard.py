"""Does a training step mean the same in every way that it may run: eagerly, as a CUDA graph, compiled, or both?"""

from collections.abc import Iterator
from dataclasses import asdict

from tests.benchmarks.gpu_bench import LIMIT, Bench
from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.table import failed
from tests.benchmarks.variants import COMPILED, EAGER, OURS, Variant
from tests.benchmarks.workers import Worker, WorkerError

STEPS = 20
QUICK, SLOW = (EAGER, OURS), (Variant(is_captured=False, is_compiled=True), COMPILED)


def guard(bench: Bench) -> Iterator[Line]:
    """Every net in the ways that start at once, then in those that compile first."""
    eager: dict[str, Spec] = {}
    for variants in (QUICK, SLOW):
        for net in bench.scale.batches:
            if bench.is_dry and variants is SLOW and net != "convnet":  # on a CPU it takes minutes
                continue
            yield from _steps(bench, net, variants, eager)


def _steps(bench: Bench, net: str, variants: tuple[Variant, ...], eager: dict[str, Spec]) -> Iterator[Line]:
    batch, worker = bench.batch(net, large=False), None
    try:
        for variant in variants:
            what = f"{net}, batch {batch}, {variant.name}, {STEPS} steps"
            try:
                worker = _alive(bench, net, batch, worker)
                limit = bench.scale.compile_limit if variant.is_compiled else LIMIT
                asked = {"do": "steps", "variant": asdict(variant), "steps": STEPS}
                found = worker.put(asked, limit=bench.left(limit))
            except WorkerError as error:
                yield failed(bench.part, what, error)
                continue
            if variant is EAGER:
                eager[net] = found
            yield _line(bench, what, found, eager.get(net))
    finally:
        if worker is not None:
            worker.close()


def _alive(bench: Bench, net: str, batch: int, worker: Worker | None) -> Worker:
    """The worker, or another one where it has ended: one that failed says nothing about the next."""
    if worker is not None and worker.process.poll() is None:
        return worker
    if worker is not None:
        worker.close()
    return bench.worker(net, batch)


def _line(bench: Bench, what: str, found: Spec, eager: Spec | None) -> Line:
    note = f"graph {found['graph']}" + (f" ({found['reason']})" if found["reason"] else "")
    if eager is None or found is eager:
        return Line(bench.part, what, "images/s", found["rate"], None, None, note=note)
    gaps = [abs(a - b) / abs(b) for a, b in zip(found["losses"], eager["losses"], strict=True)]
    note += f"; from the eager loss at most {max(gaps):.1e}, in the first step {gaps[0]:.1e}"
    return Line(bench.part, what, "images/s", found["rate"], eager["rate"], found["rate"] / eager["rate"], note=note)
