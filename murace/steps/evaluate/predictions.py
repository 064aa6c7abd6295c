"""The probabilities of every net for the test images: predicted by the nets, or read from an earlier evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from murace.steps.evaluate.inputs import EvaluationInputs
from murace.system import device
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import Split
from murace.workspace import begun, damaged, read
from murace.workspace.paths import MODEL, PREDICTIONS, FitFolder, Workspace


@dataclass(frozen=True)
class ModelPredictions:
    """The test images with a raw probability column per model, and the device that computed them."""

    images: pd.DataFrame
    device: str


def stored_predictions(workspace: Workspace, inputs: EvaluationInputs, test: pd.DataFrame) -> ModelPredictions | None:
    """Those of a finished evaluation of these very nets and images; none where an unfinished one is to be resumed."""
    folder = workspace.evaluate
    try:
        done, unfinished = read(folder.folder), begun(folder.folder)
    except DamagedError:  # the plan's reasons say so
        return None
    if unfinished or done is None or done.info["models"] != inputs.models:
        return None
    if any(done.consumed.get(name) != digest for name, digest in inputs.predicted_from.items()):
        return None
    if damaged(folder.folder, done, (PREDICTIONS,)):
        return None
    table = read_frame(folder.predictions)
    columns = {model: table[model].to_numpy(dtype=np.float64) for model in inputs.models}
    return ModelPredictions(test.assign(**columns), done.device)


def predict_all(
    workspace: Workspace, inputs: EvaluationInputs, test: pd.DataFrame, chosen: torch.device, reporter: Reporter
) -> ModelPredictions:
    """Predict the test images with each net, once; each net's are kept on disk, so that a resume runs only the rest."""
    images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), chosen, reporter)
    found = {}
    with reporter.bar("nets", len(inputs.nets)) as bar:
        for name, record in inputs.nets.items():
            path = workspace.evaluate.partial / f"{name.replace('/', '-')}.json"
            about = {"net": name, "weights": record.produced[MODEL]["sha256"]}
            kept = _read_kept(path, about)
            if kept is None:
                precision = record.info["precision"]
                process_group().broadcast({"net": name, "precision": precision})
                kept = _predict(name, precision, workspace, test, images, reporter)
                write_sealed(path, {**about, "probabilities": kept.tolist()})
            found[name] = kept
            bar.advance(note=name)
    learners = {name: found[f"train/{name}"] for name in inputs.learners}
    members = {name: found[f"finetune/{name}"] for name in inputs.members}
    return ModelPredictions(combine(test, learners, members), device.Place(chosen, "fp32").name)


def _read_kept(path: Path, about: Mapping[str, str]) -> Probabilities | None:
    """What an unfinished run has predicted with that net; None where it has not, or where the file is damaged."""
    try:
        values = read_sealed(path) if path.is_file() else {}
    except WorkspaceError:
        return None
    if {key: values.get(key) for key in about} != about:
        return None
    return np.array(values["probabilities"], dtype=np.float64)


def predict_as_follower(workspace: Workspace, chosen: torch.device, reporter: Reporter) -> None:
    """Predict this process's share of the images with every net that the leading process names, until it is done."""
    images = test = None
    while "net" in (message := process_group().receive()):
        if images is None or test is None:
            index = read_index(workspace.prepare.index)
            test = index[index["split"] == Split.TEST]
            images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), chosen, reporter)
        _predict(message["net"], message["precision"], workspace, test, images, reporter)


def _predict(
    net: str, precision: str, workspace: Workspace, test: pd.DataFrame, images: Images, reporter: Reporter
) -> Probabilities:
    """The probabilities of a net, such as `train/resnet` or `finetune/elbow`; a member's of its group alone."""
    step, _, group = net.partition("/")
    rows = np.array((test if step == "train" else test[test["group"] == group])["row"])
    model = load_model(FitFolder(workspace.root / net).model)
    place = device.reading_place(images.device, precision, reporter)
    place.put(model)
    return probabilities(logits_of(model, images, rows, place=place, reporter=reporter))
