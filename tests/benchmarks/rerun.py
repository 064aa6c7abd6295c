"""(i) Commands typed again when nothing has changed (W2): on 40,000 files, with weights of the paper's size."""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from murace.config import Recipe, TrainConfig, params
from murace.system.files import write_bytes, write_text
from murace.vocabulary import LEARNERS
from murace.workspace import begin, commit, require
from murace.workspace.paths import Workspace
from tests.benchmarks.lines import Line
from tests.benchmarks.prepare import again, murace, tiny

BAR = 2.0  # seconds
MEMBERS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
WEIGHTS = 75 * 2**20  # bytes: the mean of the three learners'
SCORES = {"best_score": None, "best_epoch": 1, "epochs": 1}


def measure(*, quick: bool = False) -> list[Line]:
    """`prepare` as its own part measures it, with a harder bar; then a learner and the status."""
    lines = [replace(line, part="rerun", theirs=BAR, ratio=BAR / line.ours) for line in again(quick=quick)]
    size, count, weights = (32, 400, 2**20) if quick else (256, 40_000, WEIGHTS)
    with tempfile.TemporaryDirectory() as place:
        listed, work = tiny(Path(place) / "source", count), Path(place) / "work"
        murace(["prepare", str(listed), "-w", str(work), "--size", str(size)])
        _fabricate(Workspace(work), weights)
        total = sum(path.stat().st_size for path in work.rglob("*") if path.is_file()) / 1e6
        told = f"a workspace of {total:,.0f} MB from {count:,} files"
        train = ["train", "--arch", "resnet", "--gpu", "cpu", "--json", "-w", str(work)]
        status = ["status", "--json", "-w", str(work)]
        rounds = 1 if quick else 5
        lines += [_line("train again, nothing changed", train, told, rounds), _line("status", status, told, rounds)]
    return lines


def _line(what: str, words: list[str], told: str, rounds: int) -> Line:
    murace(words)
    median = statistics.median([murace(words) for _ in range(rounds)])
    return Line("rerun", f"{what}, {told}", "s", median, BAR, BAR / median, 1.0, note="with start-up, cache warm")


def _fabricate(workspace: Workspace, weights: int) -> None:
    """Learners and members that nobody has trained, with true records: what is in them does not matter here."""
    prepared = require(workspace.prepare.folder, "murace prepare SOURCE").digests("prepare")
    data = {name: prepared[f"prepare/{name}"] for name in ("index.csv", "pixels.npy")}
    consumed = {f"prepare/{name}": digest for name, digest in data.items()}
    for name in LEARNERS:
        batch = TrainConfig(learner=name, recipe=Recipe(batch_size=16 if name == "densenet" else 32))
        _step(workspace, f"train/{name}", params(batch), consumed, weights)
    for group in MEMBERS:
        _step(workspace, f"finetune/{group}", {}, consumed, weights)


def _step(workspace: Workspace, name: str, settings: dict[str, object], consumed: dict[str, str], size: int) -> None:
    folder = workspace.root / name
    folder.mkdir(parents=True)
    begin(folder, name, settings, consumed)
    write_bytes(folder / "model.safetensors", name.encode().ljust(size, b"\0"))
    write_text(folder / "history.csv", "epoch\n")
    write_text(folder / "predictions.csv", "row\n")
    commit(folder, ["model.safetensors", "history.csv", "predictions.csv"], info={"size": 256, **SCORES})
