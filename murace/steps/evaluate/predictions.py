"""What the nets of the ensemble answer about the test images, each net asked once about each image."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from murace.data.loading.batches import Images
from murace.data.store import open_pixels, read_frame, read_index
from murace.errors import DamagedError, WorkspaceError
from murace.inference.combine import combine
from murace.nets.forward import Probabilities, logits_of, probabilities
from murace.nets.weights import load_model
from murace.steps.evaluate.inputs import Lineup
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import Split
from murace.workspace import begun, damaged, read
from murace.workspace.paths import Workspace


@dataclass(frozen=True)
class Answers:
    """The test images with a raw probability column per model, and the device that gave them."""

    images: pd.DataFrame
    device: str


def known_answers(workspace: Workspace, lineup: Lineup, test: pd.DataFrame) -> Answers | None:
    """What a finished evaluation of these very nets and images was answered; an unfinished one is resumed instead."""
    folder = workspace.evaluate
    try:
        done, unfinished = read(folder.folder), begun(folder.folder)
    except DamagedError:  # `take_up` will say so
        return None
    if unfinished or done is None or done.info["models"] != lineup.models:
        return None
    if any(done.consumed.get(name) != digest for name, digest in lineup.asked.items()):
        return None
    if damaged(folder.folder, done, ("predictions.csv",)):
        return None
    table = read_frame(folder.predictions)
    columns = {model: table[model].to_numpy(dtype=np.float64) for model in lineup.models}
    return Answers(test.assign(**columns), done.device)


def ask_all(
    workspace: Workspace, lineup: Lineup, test: pd.DataFrame, chosen: torch.device, reporter: Reporter
) -> Answers:
    """Ask each net once about its rows; kept on disk as they come, so that a resume asks only the rest."""
    images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), chosen)
    answers = {}
    with reporter.bar("nets", len(lineup.nets)) as bar:
        for name, record in lineup.nets.items():
            kept = workspace.evaluate.partial / f"{name.replace('/', '-')}.json"
            about = {"net": name, "weights": record.produced["model.safetensors"]["sha256"]}
            known = _kept(kept, about)
            if known is None:
                question = Question(name, record.info["precision"])
                process_group().broadcast({"question": asdict(question)})
                known = _ask(question, workspace, test, images, reporter)
                write_sealed(kept, {**about, "probabilities": known.tolist()})
            answers[name] = known
            bar.advance(note=name)
    learners = {name: answers[f"train/{name}"] for name in lineup.learners}
    members = {name: answers[f"finetune/{name}"] for name in lineup.members}
    return Answers(combine(test, learners, members), device.Place(chosen, "fp32").name)


def _kept(path: Path, about: Mapping[str, str]) -> Probabilities | None:
    """What that net was answered before; None where it was not, or the file is damaged: it is asked again."""
    try:
        values = read_sealed(path) if path.is_file() else {}
    except WorkspaceError:
        return None
    if {key: values.get(key) for key in about} != about:
        return None
    return np.array(values["probabilities"], dtype=np.float64)


def help_asking(workspace: Workspace, chosen: torch.device, reporter: Reporter) -> None:
    """Ask with the leading process, each its share of the images, until it has no more questions."""
    images = test = None
    while "question" in (word := process_group().receive()):
        if images is None or test is None:
            index = read_index(workspace.prepare.index)
            test = index[index["split"] == Split.TEST]
            images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), chosen)
        _ask(Question(**word["question"]), workspace, test, images, reporter)


@dataclass(frozen=True)
class Question:
    """A net's folder in the workspace, and the precision in which it was trained."""

    net: str
    precision: str


def _ask(
    question: Question, workspace: Workspace, test: pd.DataFrame, images: Images, reporter: Reporter
) -> Probabilities:
    """A learner is asked about all test images, a member about those of its group."""
    step, _, group = question.net.partition("/")
    rows = np.array((test if step == "train" else test[test["group"] == group])["row"])
    net = load_model(workspace.root / question.net / "model.safetensors")
    place = device.Place(images.device, question.precision)
    place.put(net)
    return probabilities(logits_of(net, images, rows, place=place, reporter=reporter))
