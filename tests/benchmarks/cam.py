"""(d) Activation maps, against the grad-cam package's Grad-CAM: the same nets and images, fp32."""

from contextlib import ExitStack
from dataclasses import replace

from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.table import failed
from tests.benchmarks.workers import Worker, compare, in_turn, lacks

NETS = ("densenet", "resnet")
BATCHES = (1, 8)
SIZE = 256
BAR = 3.0
EQUAL = 1e-4  # of maps normalised to 0..1


def measure(*, quick: bool = False) -> list[Line]:
    """A line per net and batch; that the maps agree is looked at first, in the same processes.

    Raises:
        AssertionError: the maps differ where theory says that they are equal.
    """
    missing = lacks("pytorch_grad_cam")
    if missing:
        return [failed("cam", "all of it", "not measured: grad-cam is not installed (pip install grad-cam)")]
    batches = BATCHES[-1:] if quick else BATCHES
    return [_compare(net, batch, quick=quick) for net in NETS for batch in batches]


def _compare(net: str, batch: int, *, quick: bool) -> Line:
    size, width, rounds = (64, 0.25, 1) if quick else (SIZE, 1.0, 5)
    spec: Spec = {"net": net, "width": width, "size": size, "batch": batch, "images": 2 if quick else 8}
    with ExitStack() as stack:
        workers = {
            way: stack.enter_context(Worker("worker_cam", spec | {"way": way})) for way in ("murace", "grad-cam")
        }
        found = in_turn(workers, rounds)
        apart = workers["grad-cam"].facts["apart"]
    assert apart < EQUAL, f"{net}: the maps of a gap head should be Grad-CAM's, and are {apart:.1e} apart"
    what = f"maps of {net} at {size} px, batch {batch}, against Grad-CAM"
    line = compare("cam", what, found["murace"], found["grad-cam"], target=None if quick else BAR)
    return replace(line, note=f"{line.note}; maps agree to {apart:.0e}")
