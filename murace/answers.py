"""What the nets of the ensemble answer about the test images, each net asked once about each image."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from murace import device
from murace.checkpoint import load_model
from murace.data.batches import Images, Rows
from murace.data.store import open_pixels, read_frame
from murace.ensemble import combine
from murace.files import write_bytes
from murace.forward import Probabilities, logits_of, probabilities
from murace.lineup import Lineup
from murace.record import begun, damaged, read
from murace.watch import Watch
from murace.workspace import Workspace


@dataclass(frozen=True)
class Answers:
    """The test images with a raw probability column per model, and the device that gave them."""

    images: pd.DataFrame
    device: str


def known_answers(workspace: Workspace, lineup: Lineup, test: pd.DataFrame) -> Answers | None:
    """What a finished evaluation of these very nets and images was answered; an unfinished one is resumed instead."""
    folder = workspace.evaluate
    done = read(folder.folder)
    if begun(folder.folder) or done is None or done.consumed != lineup.consumed:
        return None
    if damaged(folder.folder, done, ("predictions.csv",)):
        return None
    table = read_frame(folder.predictions)
    columns = {model: table[model].to_numpy(dtype=np.float64) for model in lineup.models}
    return Answers(test.assign(**columns), done.device)


def ask_all(workspace: Workspace, lineup: Lineup, test: pd.DataFrame, chosen: torch.device, watch: Watch) -> Answers:
    """Ask each net once about its rows; kept on disk as they come, so that a resume asks only the rest."""
    images = Images(open_pixels(workspace.prepare.pixels), np.array(test["row"]), chosen)
    answers = {}
    with watch.bar("nets", len(lineup.nets)) as bar:
        for name, record in lineup.nets.items():
            kept = workspace.evaluate.partial / f"{name.replace('/', '-')}.npy"
            if kept.is_file():
                answers[name] = np.load(kept, allow_pickle=False)
            else:
                place = device.Place(chosen, record.info["precision"])
                rows = np.array((test if name.startswith("train/") else _of_group(test, name))["row"])
                answers[name] = _ask(workspace.root / name / "model.safetensors", images, rows, place, watch)
                buffer = io.BytesIO()
                np.save(buffer, answers[name], allow_pickle=False)
                write_bytes(kept, buffer.getvalue())
            bar.advance(note=name)
    learners = {name: answers[f"train/{name}"] for name in lineup.learners}
    members = {name: answers[f"finetune/{name}"] for name in lineup.members}
    return Answers(combine(test, learners, members), device.Place(chosen, "fp32").name)


def _of_group(test: pd.DataFrame, folder: str) -> pd.DataFrame:
    return test[test["group"] == folder.partition("/")[2]]


def _ask(weights: Path, images: Images, rows: Rows, place: device.Place, watch: Watch) -> Probabilities:
    net = load_model(weights)
    place.put(net)
    return probabilities(logits_of(net, images, rows, place=place, watch=watch))
