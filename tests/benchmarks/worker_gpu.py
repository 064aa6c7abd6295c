"""A process that has the GPU: it trains by `murace.training` in the ways that it is asked for.

A spec has `device`; for training also `net`, `width`, `size` and `batch`.
"""

import math
import statistics
import time
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from murace.config import Recipe
from murace.data.loading.batches import Images
from murace.nets import Learner, create
from murace.nets.forward import logits_of
from murace.system.progress import Reporter
from murace.training import SplitArrays, TrainingSetup, fit, start
from murace.training.step import CHECKED, WARM_UP, Stepper
from tests.benchmarks.serve import Spec, converse, peak_memory
from tests.benchmarks.variants import OURS, MadeUp, Variant, streamed

FOREVER = 10**6


class Course:
    """A training under one variant, epoch by epoch, through the real loop."""

    def __init__(self, spec: Spec, variant: Variant, images: Images, *, train: int, validation: int) -> None:
        setup = set_up(spec, variant, images, train=train, validation=validation)
        self.training = start(fresh(spec), setup)
        self.moments = fit(self.training, setup)

    def epoch(self) -> Spec:
        """Images per second of its training part, and the seconds of both parts."""
        began = time.perf_counter()
        next(self.moments)
        wall = time.perf_counter() - began
        row = self.training.progress.history[-1]
        return {"rate": row["images_per_second"], "train": row["seconds"], "rest": wall - row["seconds"]}


def set_up(spec: Spec, variant: Variant, images: Images, *, train: int, validation: int) -> TrainingSetup:
    """A training under one variant."""
    place, rows = variant.place(torch.device(spec["device"])), np.arange(train + validation)
    recipe = Recipe(epochs=FOREVER, patience=FOREVER, lr=1e-4, batch_size=spec["batch"])
    return TrainingSetup(_part(rows[:train]), _part(rows[train:]), images, recipe, place, Reporter())


def fresh(spec: Spec) -> Learner:
    """The net, always with the same weights."""
    torch.manual_seed(0)
    return create(spec["net"], width=spec["width"], size=spec["size"])


def steps(spec: Spec, variant: Variant, images: Images, count: int) -> Spec:
    """The loss of each of some steps, the images per second of the last ones, and what became of the graph.

    No step of the warm-up may wait for the device, but for the first one of a compiled net, in which it is compiled.
    """
    setup = set_up(spec, variant, images, train=count * spec["batch"], validation=2)
    setup = replace(setup, place=replace(setup.place, graph="auto" if variant.is_captured else "off"))
    device, training = setup.place.device, start(fresh(spec), setup)
    stepper, unsteady = Stepper(training, setup), WARM_UP + CHECKED + 1
    training.net.train()
    stepper.begin(1, 0)
    with setup.place.searching():
        if variant.is_compiled:
            stepper.step()
        _forbid_waiting(device, is_forbidden=True)
        try:
            for _ in range(WARM_UP - variant.is_compiled):
                stepper.step()
        finally:
            _forbid_waiting(device, is_forbidden=False)
        for _ in range(unsteady - WARM_UP):
            stepper.step()
        seconds = _timed(device, lambda: [stepper.step() for _ in range(count - unsteady)])
    losses, rate = training.losses.tolist(), (count - unsteady) * spec["batch"] / seconds
    return {"losses": losses, "rate": rate, "graph": training.graph, "reason": training.graph_reason}


def _forbid_waiting(device: torch.device, *, is_forbidden: bool) -> None:
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error" if is_forbidden else "default")


def prepare(spec: Spec):  # type: ignore[no-untyped-def]
    """Answers for one net at one batch size; its trainings stay alive, so that they can be asked in turn."""
    device = torch.device(spec["device"])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    courses: dict[str, Course] = {}

    @cache
    def images(count: int, is_resident: bool) -> Images:
        return (MadeUp if is_resident else streamed)(count, spec["size"], device)

    def answer(question: Spec) -> Spec:
        if question["do"] == "machine":
            return {"matrix": matrix_rate(device, question["matrix"]), "copy": copy_rate(device, question["copy"])}
        if question["do"] == "forward":
            return {"seconds": forward_seconds(spec, images(question["images"], is_resident=True))}
        variant = Variant(**question["variant"])
        if question["do"] == "steps":
            count = question["steps"]
            return steps(spec, variant, images(count * spec["batch"] + 2, is_resident=True), count)
        count = question["train"] + question["validation"]
        shown = images(count, variant.is_resident)
        before = _allocated(device)
        if variant.name not in courses:
            sizes = {"train": question["train"], "validation": question["validation"]}
            courses[variant.name] = Course(spec, variant, shown, **sizes)
        return courses[variant.name].epoch() | {"memory": _peak(device, before)}

    return answer


def _part(rows: np.ndarray) -> SplitArrays:
    return SplitArrays(rows, rows % 2, np.ones(len(rows), dtype=np.float32), rows - rows[0])


def _allocated(device: torch.device) -> float:
    if device.type != "cuda":
        return 0.0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device) / 2**20


def _peak(device: torch.device, before: float) -> float:
    """What was allocated at the most beyond what stood there before, in MiB; on a CPU, the process' peak."""
    return torch.cuda.max_memory_allocated(device) / 2**20 - before if device.type == "cuda" else peak_memory()


def forward_seconds(spec: Spec, images: Images) -> float:
    """One pass over images as evaluation makes it, after one for warming up."""
    place = OURS.place(torch.device(spec["device"]))
    net = create(spec["net"], width=spec["width"], size=spec["size"])
    place.put(net)
    rows = np.arange(len(images.pixels))
    took = [
        _timed(place.device, lambda: logits_of(net, images, rows, place=place, reporter=Reporter())) for _ in range(3)
    ]
    return min(took)


def matrix_rate(device: torch.device, side: int) -> float:
    """TFLOP/s of a bf16 product of two random matrices, the median of twenty."""
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    took = [_timed(device, lambda: a @ b) for _ in range(23)][3:]
    return 2 * side**3 / statistics.median(took) / 1e12


def copy_rate(device: torch.device, num_bytes: int) -> float:
    """TB/s of a copy within the device's memory, bytes read and bytes written, the median of twenty."""
    source = torch.randint(0, 256, (num_bytes,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    took = [_timed(device, lambda: target.copy_(source)) for _ in range(23)][3:]
    return 2 * num_bytes / statistics.median(took) / 1e12


def _timed(device: torch.device, work) -> float:  # type: ignore[no-untyped-def]
    """Seconds of some work: by the GPU's own events where there is one."""
    if device.type != "cuda":
        began = time.perf_counter()
        work()
        return max(time.perf_counter() - began, math.ulp(1.0))
    begins, ends = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begins.record()
    work()
    ends.record()
    torch.cuda.synchronize(device)
    return begins.elapsed_time(ends) / 1000


if __name__ == "__main__":
    converse(prepare)
