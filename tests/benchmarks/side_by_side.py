"""(k) The demo with its trainings side by side against one after the other, beside what plain PyTorch reaches.

The whole demo, start to end: most of it is training. A processor's cores share memory and cache, so that two processes
never take half the time of one after the other; how near they can come is measured with plain PyTorch on its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch

from murace.system.device import has_native_bf16
from tests.benchmarks.lines import Line
from tests.benchmarks.workers import ROOT, Worker, environment

BARS = {"fp32": 0.70, "bf16": 0.75}  # of the time of one after the other
ALONE, BOTH = ("--side-by-side", "1"), ("--side-by-side", "auto")
QUICK = """
import sys
from murace.cli.commands import demo
demo.STUDIES, demo.SIZE, demo.WIDTH, demo.MEMBER_EPOCHS = 10, 64, 0.1, 1
demo.RECIPES = dict.fromkeys(demo.RECIPES, (1, 16, 0.001))
from murace.__main__ import main
main()
"""


def measure(*, quick: bool = False) -> list[Line]:
    """fp32 everywhere, bf16 where it is native; quick: a tiny demo."""
    precisions = [name for name in BARS if name == "fp32" or has_native_bf16(torch.device("cpu"))]
    return [line for name in precisions for line in (_demo(name, quick=quick), _plain(name, quick=quick))]


def _demo(precision: str, *, quick: bool) -> Line:
    with tempfile.TemporaryDirectory() as place:
        words = ("demo", "--precision", precision, "--gpu", "cpu", "--json")
        both, auc = _timed([*words, *BOTH, f"{place}/both"], Path(place) / "both", quick=quick)
        alone, same = _timed([*words, *ALONE, f"{place}/alone"], Path(place) / "alone", quick=quick)
    note = f"{both / alone:.2f} of its time, bar {BARS[precision]}; calibrated study AUC {auc:.3f}, {same:.3f}"
    what = f"the demo in {precision}, side by side against one after the other"
    return Line("side-by-side", what, "s", both, alone, alone / both, 1 / BARS[precision], note=note)


def _timed(words: list[str], folder: Path, *, quick: bool) -> tuple[float, float]:
    """The seconds of a whole demo, and its calibrated score."""
    start = ["-c", QUICK] if quick else ["-m", "murace"]
    began = time.perf_counter()
    done = [sys.executable, *start, *words]
    ended = subprocess.run(done, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    assert "minutes" in json.loads(ended.stdout)
    scores = pd.read_csv(folder / "workspace" / "evaluate" / "scores.csv")
    row = scores.query("model == 'calibrated' and level == 'study' and group == 'overall' and metric == 'auc'")
    return seconds, float(row["value"].item())


def _plain(precision: str, *, quick: bool) -> Line:
    """Two processes of a thread each that train the demo's nets with plain PyTorch, at once and in turn."""
    spec = {"precision": precision, "size": 64 if quick else 128, "width": 0.1 if quick else 0.25, "batch": 16}
    spec |= {"steps": 1 if quick else 10}
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        workers = [stack.enter_context(Worker("worker_torch", spec)) for _ in range(2)]
        for worker in workers:
            worker.ask()
        ratios = []
        for _ in range(1 if quick else 3):
            in_turn = sum(worker.ask().seconds for worker in workers)
            at_once = max(each.seconds for each in threads.map(Worker.ask, workers))
            ratios.append((in_turn / at_once, at_once, in_turn))
    ratio, at_once, in_turn = sorted(ratios)[len(ratios) // 2]
    what = f"two plain PyTorch processes in {precision}, at once against in turn"
    note = f"{1 / ratio:.2f} of its time: what this machine's cores can do"
    return Line("side-by-side", what, "s", at_once, in_turn, ratio, note=note)
