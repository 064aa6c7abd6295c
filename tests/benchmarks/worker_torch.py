"""Training steps of plain PyTorch with one thread, on noise in memory: what a core can do beside another.

A spec has `precision`, `size`, `width`, `batch` and `steps` (of each of the three nets). The nets are murace's own.
"""

import time

import torch
from torch.nn import functional as F

from murace.nets import create
from murace.vocabulary import LEARNERS
from tests.benchmarks.serve import Spec, Work, serve


def prepare(spec: Spec) -> tuple[Work, dict[str, object]]:
    """Everything up to the first step."""
    torch.set_num_threads(1)
    is_short = spec["precision"] == "bf16"
    layout = torch.channels_last if is_short else torch.contiguous_format
    images = torch.rand(spec["batch"], 1, spec["size"], spec["size"]).contiguous(memory_format=layout)
    labels = torch.arange(spec["batch"]) % 2
    nets = [create(name, width=spec["width"], size=spec["size"]).to(memory_format=layout).train() for name in LEARNERS]
    trained = [(net, torch.optim.Adam(net.parameters())) for net in nets]

    def work() -> tuple[int, float]:
        began = time.perf_counter()
        for net, optimizer in trained:
            for _ in range(spec["steps"]):
                optimizer.zero_grad()
                with torch.autocast("cpu", torch.bfloat16, enabled=is_short):
                    logits = net(images)
                F.cross_entropy(logits.float(), labels).backward()
                optimizer.step()
        return spec["batch"] * spec["steps"] * len(trained), time.perf_counter() - began

    return work, {"torch": torch.__version__}


if __name__ == "__main__":
    serve(prepare)
