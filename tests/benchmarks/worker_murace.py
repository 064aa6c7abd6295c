"""Murace's way: `murace.training` on an array of pixels, threads and precision as the commands set them.

A spec has `work` (train or gather), `net`, `width`, `size`, `batch`, `steps`, `pixels`, `threads` and `naive`.
"""

import os
import time

import numpy as np

from tests.benchmarks.serve import Spec, Work, serve

FOREVER = 10**6


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """Everything up to the first step."""
    if not spec.get("naive"):
        import murace.cli.app  # noqa: F401 - as any command does, before torch

        assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    import torch

    from murace.config import Machine
    from murace.system.device import Place, resolve_precision, set_threads

    cpu = torch.device("cpu")
    threads = set_threads(Machine(threads=spec.get("threads")))
    place = Place(cpu, resolve_precision("auto", cpu))
    facts = {"threads": threads, "precision": place.precision, "torch": torch.__version__}
    work, more = _training(spec, place) if spec["work"] == "train" else (_gathering(spec, cpu), {})
    return work, facts | more


def _training(spec: Spec, place):  # type: ignore[no-untyped-def]
    """A round is an epoch of `steps` steps; its time is the training part's, as the history says it."""
    from murace.config import Recipe
    from murace.data.loading.batches import Images
    from murace.data.store import open_pixels
    from murace.nets import count_parameters, create
    from murace.system.progress import Reporter
    from murace.training import SplitArrays, TrainingSetup, fit, start

    def part(count: int) -> SplitArrays:
        rows = np.arange(count)
        return SplitArrays(rows, rows % 2, np.ones(count, dtype=np.float32), rows)

    pixels = open_pixels(spec["pixels"])
    net = create(spec["net"], width=spec["width"], size=spec["size"])
    recipe = Recipe(epochs=FOREVER, patience=FOREVER, lr=1e-4, batch_size=spec["batch"])
    count = spec["batch"] * spec["steps"]
    images = Images(pixels, np.arange(count), place.device)
    setup = TrainingSetup(part(count), part(2), images, recipe, place, Reporter())
    training = start(net, setup)
    moments = fit(training, setup)

    def work() -> tuple[int, float]:
        next(moments)
        return count, count / training.progress.history[-1]["images_per_second"]

    return work, {"parameters": count_parameters(net)[0]}


def _gathering(spec: Spec, cpu) -> Work:  # type: ignore[no-untyped-def]
    """A round is `steps` batches, read and augmented."""
    import torch

    from murace.data.loading.augment import augment
    from murace.data.loading.batches import Images
    from murace.data.store import open_pixels

    pixels = open_pixels(spec["pixels"])
    images = Images(pixels, np.arange(len(pixels)), cpu)
    random = np.random.default_rng(0)

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        for step in range(spec["steps"]):
            rows = torch.from_numpy(random.integers(0, len(pixels), spec["batch"]))
            augment(images.gather(rows), rows, seed=0, epoch=step + 1)
        return spec["batch"] * spec["steps"], time.perf_counter() - began

    return work


if __name__ == "__main__":
    serve(prepare)
