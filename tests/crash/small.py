"""A training of 48 steps in a fraction of a second, of a net with all that a state could forget."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from murace.config import Recipe
from murace.data.loading.batches import Images
from murace.errors import Interrupted
from murace.nets import Learner
from murace.system.device import Place
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.training import Job, SplitArrays, TrainingSetup
from murace.training.checkpoint import newest_state
from murace.training.epoch import CLOCK
from murace.training.run import run
from tests.steps.test_train import StopAfter
from tests.workshop import CPU

SIZE, BATCH, TRAIN, VALIDATION, EPOCHS = 8, 4, 48, 20, 4
NOISE, SIGNAL = 80, 120  # shades, on the whole picture: whoever looks at the brightness ranks all pictures rightly
STEPS = EPOCHS * TRAIN // BATCH
NOWHERE = Path("nowhere")
FORM = {"learner": "convnet", "width": 1.0, "head": "gap", "size": SIZE}
RECIPE = Recipe(epochs=EPOCHS, batch_size=BATCH, lr=0.02, patience=3, monitor="auc")


class Small(Learner):
    """Convolution, batch norm, dropout, head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3))
        self.head = nn.Linear(6, 2)

    def features(self, x: Tensor) -> Tensor:
        maps: Tensor = self.body(x)
        return maps


class SmallJob(Job):
    """A job whose net is small and whose images are made up."""

    splits = (pd.DataFrame({"group": ["elbow"]}),) * 2

    def net(self) -> Learner:
        torch.manual_seed(7)
        net = Small()
        torch.manual_seed(11)  # dropout's
        return net


@dataclass(frozen=True)
class Outcome:
    """All that must not depend on interruptions."""

    weights: dict[str, Tensor]
    state: dict[str, Tensor]
    progress: dict[str, Any]
    validation: np.ndarray

    def differences(self, other: "Outcome") -> list[str]:
        """What is not the same, to the last bit."""
        found = [
            name
            for part in ("weights", "state")
            for name in {*getattr(self, part), *getattr(other, part)}
            if not torch.equal(getattr(self, part).get(name, torch.empty(0)), getattr(other, part).get(name, NOTHING))
        ]
        found += [key for key in self.progress if self.progress[key] != other.progress[key]]
        return found + ([] if np.array_equal(self.validation, other.validation) else ["validation"])


NOTHING = torch.full((1,), float("nan"))


def trained(
    folder: Path, *, precision: str = "fp32", score_start: bool = False, upright: bool = False, stop_after: int = -1
) -> Outcome | None:
    """Train, or go on; None where it was stopped after that many steps.

    The validation labels are upside down unless they are `upright`. So what is best is no luck, and no matter of how a
    processor rounds: the more is learnt, the worse it looks. Each epoch ranks the validation images wrongly without
    exception, so the scores tie, and its loss is greater than the first one's. Upright the last epoch is the best.
    """
    job = SmallJob(
        recipe=RECIPE,
        form=FORM,
        index=NOWHERE,
        pixels=NOWHERE,
        consumed={},
        checkpoints=folder,
        initial=NOWHERE if score_start else None,
        resumes=True,
    )
    try:
        result = run(job, _setup(precision, stop_after, upright=upright))
    except Interrupted:
        return None
    state = newest_state(folder).load() if process_group().leads else {}
    progress = {key: value for key, value in vars(result.progress).items() if key not in (*CLOCK, "history")}
    progress["history"] = [{k: v for k, v in row.items() if k not in CLOCK} for row in result.progress.history]
    return Outcome(result.net.state_dict(), state, progress, result.validation)


def _setup(precision: str, stop_after: int, *, upright: bool) -> TrainingSetup:
    generator = np.random.default_rng(3)
    count = TRAIN + VALIDATION
    labels = np.arange(count) % 2
    pixels = generator.integers(0, NOISE, (count, SIZE, SIZE), dtype=np.uint8)
    pixels[labels == 1] += SIGNAL
    if not upright:
        labels[TRAIN:] = 1 - labels[TRAIN:]
    rows = np.arange(count)
    parts = [
        SplitArrays(rows[part], labels[part], np.ones(len(rows[part]), np.float32), np.arange(len(rows[part])))
        for part in (slice(0, TRAIN), slice(TRAIN, count))
    ]
    place = Place(torch.device("cpu"), precision)
    reporter = StopAfter(stop_after) if stop_after > 0 else Reporter()
    images, settled = Images(pixels, rows, place.device), replace(RECIPE, precision=precision)
    return TrainingSetup(*parts, images, settled, place, reporter, CPU)
