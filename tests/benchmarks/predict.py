"""(h) New studies read from files by `murace predict`'s engine, against the nets' forward passes alone."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from murace.config import SampleConfig
from murace.sample.layout import draw_sample
from murace.system.progress import Reporter
from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.workers import Worker, compare, in_turn

BAR = 0.9  # of the rate of the passes alone


def measure(*, quick: bool = False) -> list[Line]:
    """Synthetic studies of seven regions as files; three learners with fresh weights serve them in turn.

    Both ways ask the same nets about the same pictures, the recogniser about one view of each study. The passes alone
    have them in memory; `predict` opens and resizes the files, routes, averages and keeps rows.
    """
    size, width = (64, 0.1) if quick else (256, 1.0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        draw_sample(Path(folder) / "sample", SampleConfig(studies=10 if quick else 30), Reporter())
        spec: Spec = {"root": str(Path(folder) / "sample" / "valid"), "size": size, "width": width, "quick": quick}
        workers = {
            way: stack.enter_context(Worker("worker_predict", spec | {"way": way})) for way in ("predict", "passes")
        }
        found = in_turn(workers, 1 if quick else 5)
        views = workers["predict"].facts["views"]
    what = f"{views} files at {size} px read by predict, against the nets' passes alone"
    line = compare("predict", what, found["predict"], found["passes"], target=None if quick else BAR)
    return [replace(line, note=f"{line.note}; one view a study shown to the recogniser too")]
