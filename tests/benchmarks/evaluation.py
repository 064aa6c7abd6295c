"""(f) Five models asked with one pass per net and image, against five models asked each on its own."""

import math
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch

from murace.nets import create
from murace.nets.weights import save_model
from murace.vocabulary import LEARNERS
from murace.workspace.paths import Workspace
from tests.benchmarks.lines import Line
from tests.benchmarks.serve import Spec
from tests.benchmarks.workers import Worker, WorkerError, compare, in_turn

GROUPS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
MEMBERS = {group: LEARNERS[number % len(LEARNERS)] for number, group in enumerate(GROUPS)}


def measure(*, quick: bool = False) -> list[Line]:
    """Three learners and seven members with fresh weights: what they answer does not matter, only that it agrees."""
    size, width, images = (64, 0.1, 14) if quick else (128, 1.0, 105)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _workspace(Path(folder), size=size, width=width, images=images)
        spec: Spec = {"root": folder, "images": images, "members": MEMBERS}
        ways = ("once", "five")
        workers = {way: stack.enter_context(Worker("worker_evaluate", spec | {"way": way})) for way in ways}
        _agree(*(workers[way].facts["sums"] for way in ways))
        found = in_turn(workers, 1 if quick else 5)
        precision = workers["once"].facts["precision"]
    what = f"five models about {images} images at {size} px, {precision}: each net once, against each model on its own"
    return [compare("evaluation", what, found["once"], found["five"], target=None)]


def _workspace(root: Path, *, size: int, width: float, images: int) -> None:
    workspace = Workspace(root)
    workspace.prepare.folder.mkdir(parents=True)
    np.save(workspace.prepare.pixels, np.random.default_rng(0).integers(0, 255, (images, size, size), dtype=np.uint8))
    torch.manual_seed(0)
    folders = {workspace.train(name): name for name in LEARNERS}
    folders |= {workspace.finetune(group): learner for group, learner in MEMBERS.items()}
    for folder, learner in folders.items():
        folder.folder.mkdir(parents=True)
        facts = {"learner": learner, "width": width, "head": "gap", "size": size}
        save_model(folder.model, create(learner, width=width, size=size).state_dict(), facts)


def _agree(ours: dict[str, float], theirs: dict[str, float]) -> None:
    """The fast way answers as the slow one, or it is no way."""
    for name, total in theirs.items():
        if not math.isclose(ours[name], total, rel_tol=1e-6):
            raise WorkerError(f"the answers of {name} differ: {ours[name]} and {total}")
