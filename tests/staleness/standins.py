"""Cheap, deterministic mathematics in place of the real: every result is a digest of all the bytes that it is made of.

The steps themselves, their records, decisions and files are the real ones. What a stand-in reads, the real one reads;
what it does not read (threads, jobs, the clock) does not change a bit of what it writes, but for history's clock.
"""

import hashlib
import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from murace.config import params
from murace.data.store import IDS, write_frame
from murace.inference import operating_points
from murace.metrics.table import by_study
from murace.steps.calibrate import step as calibrate
from murace.steps.evaluate import step as evaluate
from murace.steps.finetune import step as finetune
from murace.steps.train import step as train
from murace.system import device
from murace.system.device import Place
from murace.system.files import digest_of, write_bytes, write_json
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.training import Job, Result, TrainingSetup
from murace.training.checkpoint import FACTS
from murace.training.state import Progress
from murace.vocabulary import CALIBRATED
from murace.workspace import OPERATIONAL
from murace.workspace.paths import Workspace

SLOW = ("epochs", "patience")  # settings that need not change the weights: more epochs continue, patience may not bite
ticks = itertools.count(1)


class Killed(BaseException):
    """The process is gone: nothing after this line happens."""


def digest(*parts: bytes) -> bytes:
    made = hashlib.sha256()
    for part in parts:
        made.update(hashlib.sha256(part).digest())
    return made.digest()


def told(value: Any) -> bytes:
    return digest_of(value).encode()


def chances(key: bytes, rows: Any) -> np.ndarray:
    """A probability for each row, from the key: sure enough that a choice can change."""
    words = [int.from_bytes(digest(key, str(int(row)).encode())[:4]) for row in rows]
    return (np.array(words, dtype=np.float64) + 0.5) / 2**32


def set_up(job: Job, machine: Any, chosen: Any, reporter: Reporter) -> Any:
    """In place of `job.set_up`: nothing is opened."""
    return SimpleNamespace(reporter=reporter, place=Place(torch.device("cpu"), "fp32"))


def fitted(job: Job, setup: TrainingSetup, root: Path) -> Result:
    """In place of `run.lead`: a chain of digests, an epoch a link, saved and resumed like a training."""
    reporter = setup.reporter
    recipe = {name: value for name, value in params(job.recipe).items() if name not in SLOW}
    start = [job.index.read_bytes(), job.pixels.read_bytes(), told([recipe, dict(job.form), job.group])]
    if job.initial is not None:
        start.append(job.initial.read_bytes())
    if getattr(reporter, "kills", False):
        raise Killed
    epoch, link = _restored(job.checkpoints, digest(*start))
    while epoch < job.recipe.epochs:
        epoch, link = epoch + 1, digest(link)
        epochs_run.append(epoch)
        write_sealed(job.checkpoints / f"{epoch:06d}.json", _state(job, epoch, link))
        with reporter.bar("steps", 1) as bar:
            bar.advance()
        reporter.check()
    history = [_epoch(digest(*start), number + 1) for number in range(epoch)]
    facts = {"epochs": epoch, "best_epoch": epoch - 1, "batch_size": job.recipe.batch_size, "precision": "fp32"}
    timed = {"seconds": next(ticks), "images_per_second": 1.0, "compiled": False, "processes": 1}
    timed |= {"graph": ("off", "on")[next(ticks) % 2], "graph_reason": f"of run {next(ticks)}"}
    net = torch.nn.Linear(1, 1)
    net.link = link
    history = [_epoch(digest(*start), 0), *history]
    return Result(
        net, Progress(history=history, best_epoch=epoch - 1), chances(link, job.splits[1]["row"]), {**facts, **timed}
    )


def written(job: Job, result: Result, *, model: Path, history: Path, predictions: Path) -> None:
    """In place of `job.write_result`."""
    write_bytes(model, b"weights " + result.net.link)
    write_frame(history, pd.DataFrame(result.progress.history[1:]))
    column = CALIBRATED if job.group else job.form["learner"]
    write_frame(predictions, job.splits[1][IDS].assign(**{column: result.validation}), private=True)


epochs_run: list[int] = []  # of every training since this was emptied: what was not saved before


def _restored(states: Path, beginning: bytes) -> tuple[int, bytes]:
    saved = sorted(states.glob("*.json"))
    if not saved:
        return 0, beginning
    state = read_sealed(saved[-1])["facts"]
    return state["epoch"], bytes.fromhex(state["link"])


def _state(job: Job, epoch: int, link: bytes) -> dict[str, Any]:
    """A state's record as a training writes it, with the link of the chain among its facts."""
    about = {"about": job.about, "consumed": dict(job.consumed)}
    facts = {**dict.fromkeys(FACTS, ""), **about, "progress": {"epoch": epoch}, "epoch": epoch, "link": link.hex()}
    return {"file": {"name": f"{epoch:06d}.safetensors"}, "facts": facts}


def _epoch(link: bytes, number: int) -> dict[str, Any]:
    found = dict(zip(("train_loss", "auc", "accuracy", "kappa"), chances(link, range(4)), strict=True))
    return {"epoch": number, **found, "seconds": next(ticks), "images_per_second": float(next(ticks))}


def stabilities(images: pd.DataFrame, config: Any, groups: Any, learners: Any, reporter: Reporter) -> Any:
    with reporter.bar("resamples", 1) as bar:
        bar.advance()
    reporter.check()
    key = digest(images.to_csv().encode(), told(params(config)))
    return {group: {name: float(chances(digest(key, group.encode()), [0])[0]) for name in learners} for group in groups}


def recognise(workspace: Workspace, member: Any, index: pd.DataFrame, config: Any, reporter: Reporter) -> None:
    with reporter.bar("recogniser", 1) as bar:
        bar.advance()
    reporter.check()
    read = [workspace.prepare.pixels, workspace.train(member.learner).model]
    seed = str(config.bootstrap.seed).encode()
    write_bytes(
        workspace.calibrate.recogniser, digest(index.to_csv().encode(), seed, *(path.read_bytes() for path in read))
    )


def predicted(
    net: str, precision: str, workspace: Workspace, test: pd.DataFrame, images: Any, reporter: Reporter
) -> np.ndarray:
    """In place of one net's pass over its test images."""
    step, _, group = net.partition("/")
    rows = (test if step == "train" else test[test["group"] == group])["row"]
    weights = (workspace.root / net / "model.safetensors").read_bytes()
    found = chances(digest(weights, workspace.prepare.pixels.read_bytes(), precision.encode()), rows)
    with reporter.bar("net", 1) as bar:
        bar.advance()
    reporter.check()
    return found


def analysed(
    workspace: Workspace, config: Any, inputs: Any, index: pd.DataFrame, predictions: Any, reporter: Reporter
) -> dict[str, pd.DataFrame]:
    known = by_study(evaluate.validation(workspace, inputs), inputs.models)
    key = digest(known.to_csv().encode(), predictions.images.to_csv().encode(), told(params(config)))
    write_json(workspace.evaluate.operating, {"fitted": key.hex(), "weights": inputs.weights})
    tables = {
        name: pd.DataFrame({"table": [name], "made": [digest(key, name.encode()).hex()]}) for name in evaluate.TABLES
    }
    return tables | {"predictions": predictions.images[[*IDS, *inputs.models]]}


def published(workspace: Workspace, page: Any) -> list[str]:
    """In place of the report: all that it is given, without what tells the time and the machine."""
    clock = {*OPERATIONAL, "hours", "device", "prepared", "last member finished", "devices", *page.facts.keys()}
    clock -= {"split seed", "training seeds"}
    shown = [name for name in page.__slots__ if name != "rejected"]  # from a file that no record answers for
    values = {name: _shown(getattr(page, name), clock) for name in shown}
    write_json(workspace.evaluate.report.with_name("shown.json"), values)
    return ["shown.json"]


def flowed(index: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"table": ["flow"], "flow": [digest(index.to_csv().encode()).hex()]})


def _shown(value: Any, clock: set[str]) -> Any:
    if isinstance(value, pd.DataFrame):
        return value.drop(columns=[name for name in clock if name in value]).to_csv(index=False)
    if isinstance(value, dict):
        return {str(name): _shown(item, clock) for name, item in value.items() if name not in clock}
    if is_dataclass(value) and not isinstance(value, type):
        return _shown(asdict(value), clock)
    return value if isinstance(value, str | int | float | bool | None) else [_shown(item, clock) for item in value]


@contextmanager
def instead() -> Iterator[None]:
    """Everything expensive replaced, until the end of the block; and no waiting for the disk."""
    from murace.workspace import record as note

    versions = note._versions()
    with pytest.MonkeyPatch.context() as patch:
        for step in (train, finetune):
            patch.setattr(step, "set_up", set_up)
            patch.setattr(step, "lead", fitted)
            patch.setattr(step, "write_result", written)
        patch.setattr(train, "build", lambda form: None)
        patch.setattr(calibrate, "_stabilities", stabilities)
        patch.setattr(calibrate, "_fit_recogniser", recognise)
        patch.setattr("murace.steps.calibrate.inputs.load_group_model", lambda path: path.read_bytes())
        patch.setattr("murace.steps.evaluate.predictions._predict", predicted)
        patch.setattr(evaluate, "_analyse", analysed)
        patch.setattr(evaluate, "pictures", lambda *given: {"maps": [], "errors": [], "augmentation": None})
        patch.setattr(evaluate, "_publish", published)
        for module in ("step", "contents"):
            patch.setattr(f"murace.steps.evaluate.{module}.flow", flowed)
        patch.setattr(operating_points, "load", None)  # nothing here may need it
        patch.setattr(device, "set_threads", lambda machine, recorded=None: 1)
        patch.setattr("os.fsync", lambda descriptor: None)
        patch.setattr(note, "_versions", lambda: versions)
        yield


def without_clock(path: Path) -> bytes:
    """A file's bytes, less what no two runs have in common."""
    if path.name == "history.csv":
        frame = pd.read_csv(path)
        return frame.drop(columns=[name for name in OPERATIONAL if name in frame]).to_csv(index=False).encode()
    return path.read_bytes()


def facts_of(record: Path) -> str:
    """What a record tells of settings and results, reckoned without the code under test."""
    values = json.loads(record.read_bytes())
    info = {key: value for key, value in values["info"].items() if key not in OPERATIONAL}
    return hashlib.sha256(json.dumps([values["params"], info], sort_keys=True).encode()).hexdigest()
