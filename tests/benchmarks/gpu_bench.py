"""How large the GPU part is, its workers, and the time that it has."""

import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from murace.config import BATCH_SIZES
from tests.benchmarks.roofline import Machine
from tests.benchmarks.serve import Spec
from tests.benchmarks.variants import Variant
from tests.benchmarks.workers import Worker, WorkerError

LIMIT = 90.0  # seconds of one measurement
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}  # as the commands set it


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    size: int = 256
    width: float = 1.0
    large: int = 128
    train: int = 32_128
    validation: int = 4_680
    test: int = 3_197
    steps: int = 96  # of an epoch in which techniques are compared
    rounds: int = 3
    matrix: int = 8192
    copy: int = 2**32
    compile_limit: float = 240.0  # seconds
    batches: dict[str, int] = field(default_factory=lambda: dict(BATCH_SIZES))


DRY = Scale(64, 0.1, 8, 48, 12, 12, 3, 2, 256, 2**20, 240.0, dict.fromkeys(BATCH_SIZES, 4))


class Bench:
    """The machine, the scale, the moment at which all must be over, and a folder for what is compiled."""

    def __init__(self, gpu: str, scale: Scale, *, ends: float, folder: Path) -> None:
        self.device = "cpu" if gpu == "cpu" else f"cuda:{int(gpu)}"
        self.scale, self.ends, self.folder = scale, ends, folder
        self.is_dry = scale is DRY
        self.part = "dry run" if self.is_dry else "gpu"
        self.machine: Machine | None = None

    def left(self, limit: float) -> float:
        """Seconds for the next measurement.

        Raises:
            WorkerError: there are none.
        """
        left = self.ends - time.monotonic()
        if left < 1:
            raise WorkerError("no time was left")
        return min(limit, left)

    def worker(self, net: str, batch: int) -> Worker:
        """A process for one net at one batch size."""
        scale = self.scale
        spec = {"device": self.device, "net": net, "width": scale.width, "size": scale.size, "batch": batch}
        return Worker("worker_gpu", spec, variables=self.variables(), limit=self.left(LIMIT))

    def variables(self) -> dict[str, str]:
        """Nothing compiled is taken over: not from an earlier run, nor from a worker that was ended amid writing."""
        return PASSIVE | {"TORCHINDUCTOR_CACHE_DIR": tempfile.mkdtemp(dir=self.folder)}

    def epoch(self, worker: Worker, variant: Variant, *, limit: float = LIMIT, images: int | None = None) -> Spec:
        """An epoch of this variant: of real size, or of `images`."""
        train, validation = self.scale.train, self.scale.validation
        if images is not None:
            train, validation = images, max(2, images // 16)
        asked = {"do": "epoch", "variant": asdict(variant), "train": train, "validation": validation}
        return worker.put(asked, limit=self.left(limit))

    def batch(self, net: str, *, large: bool) -> int:
        """The paper's, or the large one."""
        return self.scale.large if large else self.scale.batches[net]
