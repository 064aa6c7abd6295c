"""The plain PyTorch way: ImageFolder, a DataLoader with two workers, torchvision's transforms, fp32 and eager.

A spec has `work` (train or load), `net`, `width`, `size`, `batch`, `steps` and `files`. The nets are murace's own.
"""

import time
from collections.abc import Iterator

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder

from murace.nets import count_parameters, create
from tests.benchmarks.serve import Spec, Work, serve

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """Everything up to the first step."""
    loader = loading(spec)
    facts = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    if spec["work"] == "load":
        return lambda: timed(loader, lambda images, labels: None, spec), facts
    net = create(spec["net"], width=spec["width"], size=spec["size"]).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    return lambda: timed(loader, step, spec), facts | {"parameters": count_parameters(net)[0]}


def loading(spec: Spec) -> DataLoader:  # type: ignore[type-arg]
    """What one would write first: each picture is decoded, resized, flipped and turned anew in every epoch."""
    steps = [
        transforms.Grayscale(),
        transforms.Resize((spec["size"], spec["size"])),
        transforms.RandomHorizontalFlip(),
        transforms.RandomVerticalFlip(),
        transforms.RandomRotation(30, interpolation=transforms.InterpolationMode.BILINEAR),
        transforms.ToTensor(),
    ]
    dataset = ImageFolder(spec["files"], transforms.Compose(steps))
    batches = spec["steps"] + (spec["work"] == "load")
    sampler = RandomSampler(dataset, replacement=True, num_samples=spec["batch"] * batches)
    return DataLoader(dataset, spec["batch"], sampler=sampler, num_workers=2, persistent_workers=True)


def timed(loader: DataLoader, step, spec: Spec) -> tuple[int, float]:  # type: ignore[type-arg, no-untyped-def]
    """An epoch of `steps` steps; the clock starts when the first batch is there, so that the pipeline is warm.

    Where loading is what is measured, that first batch is not counted.
    """
    batches: Batches = iter(loader)
    first = next(batches)
    began = time.perf_counter()
    if spec["work"] == "train":
        step(*first)
    for batch in batches:
        step(*batch)
    return spec["batch"] * spec["steps"], time.perf_counter() - began


if __name__ == "__main__":
    serve(prepare)
