"""What each technique is worth on a GPU: variants of the same training, asked in turn."""

import statistics
from collections.abc import Iterator

from tests.benchmarks.gpu_bench import LIMIT, Bench
from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.table import failed
from tests.benchmarks.variants import COMPILED, LADDER, OURS, PLAIN, Variant
from tests.benchmarks.workers import Worker, WorkerError


def techniques(bench: Bench, net: str, batch: int) -> Iterator[Line]:
    """Every variant against the plain one."""
    yield from Race(bench, net, batch, LIMIT).lines(LADDER, PLAIN)


def compiling(bench: Bench, net: str, batch: int) -> Iterator[Line]:
    """What torch.compile adds to our own way, and what it costs first."""
    race = Race(bench, net, batch, bench.scale.compile_limit)
    yield from race.lines((OURS, COMPILED), OURS)
    if race.rates.get(COMPILED):
        seconds = race.first[COMPILED]["train"] - race.first[OURS]["train"]
        what, note = f"{race.name}, compiling", "so much longer was the first epoch"
        yield Line(bench.part, what, "s", seconds, None, None, note=note)


class Race:
    """Variants of one training: a first epoch each, which warms up, then rounds in turn."""

    def __init__(self, bench: Bench, net: str, batch: int, limit: float) -> None:
        self.bench, self.net, self.batch, self.limit = bench, net, batch, limit
        steps = bench.scale.steps if batch < bench.scale.large else max(2, bench.scale.steps // 4)
        self.images = steps * batch
        self.name = f"{net}, batch {batch}"
        self.worker: Worker | None = None
        self.rates: dict[Variant, list[float]] = {}
        self.first: dict[Variant, Spec] = {}

    def lines(self, variants: tuple[Variant, ...], base: Variant) -> Iterator[Line]:
        """A line for each variant, whether it could be measured or not."""
        try:
            for variant in variants:
                yield from self._warm(variant)
            yield from self._rounds()
        finally:
            if self.worker is not None:
                self.worker.close()
        for variant, found in self.rates.items():
            if found:
                yield self._line(variant, base)

    def _warm(self, variant: Variant) -> Iterator[Line]:
        try:
            self.first[variant] = self._epoch(variant)
            self.rates[variant] = []
        except WorkerError as error:
            yield failed(self.bench.part, f"{self.name}, {variant.name}", error)

    def _rounds(self) -> Iterator[Line]:
        try:
            for _ in range(self.bench.scale.rounds):
                for variant, found in self.rates.items():
                    found.append(self._epoch(variant)["rate"])
        except WorkerError as error:
            yield failed(self.bench.part, f"{self.name}, further rounds", error)

    def _epoch(self, variant: Variant) -> Spec:
        """An epoch in the worker; one that has ended is begun anew, and warmed up as far as this one was."""
        if self.worker is None or self.worker.process.poll() is not None:
            if self.worker is not None:
                self.worker.close()
                self.worker = None
            self.worker = self.bench.worker(self.net, self.batch)
            for known in self.rates:
                self.bench.epoch(self.worker, known, limit=self.limit, images=self.images)
        return self.bench.epoch(self.worker, variant, limit=self.limit, images=self.images)

    def _line(self, variant: Variant, base: Variant) -> Line:
        ours, theirs, first = self.rates[variant], self.rates.get(base, []), self.first[variant]
        rate = statistics.median(ours)
        what, note = f"{self.name}, {variant.name}", f"the first epoch took {first['train']:.1f} s"
        if variant is base or not theirs:
            return Line(self.bench.part, what, "images/s", rate, None, None, memory=(first["memory"], None), note=note)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=False))
        memory = (first["memory"], self.first[base]["memory"])
        what += f", against {base.name}"
        return Line(self.bench.part, what, "images/s", rate, statistics.median(theirs), ratio, memory=memory, note=note)
