"""(g) Threads on a shared machine: convnet's training while another process keeps a core busy."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Round, Spec
from tests.benchmarks.sources import draw
from tests.benchmarks.workers import Rounds, Worker, busy, compare

NET, SIZE, BATCH, STEPS = "convnet", 128, 16, 4
DEFAULT_BAR, SINGLE_BAR = 3.0, 0.85
DEFAULT, NAIVE, SINGLE, QUIET = "murace's defaults", "torch's defaults", "--threads 1", "--threads 1 alone"


def measure(*, quick: bool = False) -> list[Line]:
    """In each round: one thread alone, then all three ways under the load."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        pixels = draw(Path(folder), BATCH * STEPS).pixels(SIZE)
        spec: Spec = {"work": "train", "net": NET, "width": 0.1 if quick else 1.0, "size": SIZE, "batch": BATCH}
        spec |= {"steps": STEPS, "pixels": str(pixels)}
        ways = {DEFAULT: {}, NAIVE: {"naive": True}, SINGLE: {"threads": 1}}
        workers = {way: stack.enter_context(Worker("worker_murace", spec | more)) for way, more in ways.items()}
        found = _rounds(workers, 1 if quick else 5)
    loaded = f"{NET} at {SIZE} px beside one busy process"
    return [
        compare("threads", f"{loaded}, {DEFAULT} against {NAIVE}", found[DEFAULT], found[NAIVE], target=DEFAULT_BAR),
        compare("threads", f"{loaded}, {SINGLE} against itself alone", found[SINGLE], found[QUIET], target=SINGLE_BAR),
    ]


def _rounds(workers: dict[str, Worker], rounds: int) -> Rounds:
    found: dict[str, list[Round]] = {way: [] for way in (*workers, QUIET)}
    for worker in workers.values():
        worker.ask()
    for _ in range(rounds):
        found[QUIET].append(workers[SINGLE].ask())
        with busy():
            for way, worker in workers.items():
                found[way].append(worker.ask())
    return found
