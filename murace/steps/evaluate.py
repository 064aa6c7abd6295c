"""Every model on the test split: probabilities, Table 3, the ROC figure and the report."""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from murace import device
from murace.cam import activation_maps
from murace.chain import PREPARE, finetune_command, finished_learners, require_choice
from murace.checkpoint import load_model
from murace.config import Machine
from murace.data.batches import Images
from murace.data.store import COLUMNS, open_pixels, read_frame, read_index, write_frame
from murace.ensemble import combine, models_of
from murace.errors import UsageError
from murace.files import read_json, write_bytes, write_text
from murace.forward import Probabilities, logits_of, probabilities
from murace.metrics.table import roc_points, score_table, with_change
from murace.opencv import cv2
from murace.record import Action, Record, Wish, commit, require, take_up, writing
from murace.report.contents import Picture
from murace.report.overlay import triptych
from murace.report.page import figures, render
from murace.summary import contents
from murace.vocabulary import CALIBRATED, Level, Split
from murace.watch import Watch
from murace.workspace import Workspace

PREPARED = ("index.csv", "pixels.npy")
IDS = ["row", "patient", "study", "group", "label"]


@dataclass(frozen=True)
class Evaluated:
    """Table 3 long (`scores` as in `scores.csv`), and where the report is."""

    skipped: bool
    scores: pd.DataFrame
    models: tuple[str, ...]
    report: Path
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Net:
    """One net to ask: its name in the workspace, its record, and the test rows it is asked about."""

    name: str
    record: Record
    images: pd.DataFrame


def run(workspace: Workspace, *, machine: Machine, wish: Wish, watch: Watch) -> Evaluated:
    """Evaluate every trained learner, the pair's mean and the calibrated ensemble, each net once over its images.

    An interrupted run keeps the probabilities of the nets that it has been through.

    Raises:
        MachineError, WorkspaceError, Interrupted: see their classes.
    """
    chosen, remark = device.choose(machine)
    prepared = require(workspace.prepare.folder, PREPARE, PREPARED)
    learners, notes = finished_learners(workspace, ("model.safetensors",))
    roster = require_choice(workspace)
    groups = sorted(read_json(workspace.calibrate.roster)["groups"])
    members = {
        group: require(workspace.finetune(group).folder, finetune_command(group), ("model.safetensors",))
        for group in groups
    }
    folder = workspace.evaluate
    with writing(folder.folder):
        consumed = _consumed(prepared, learners, roster, members)
        plan = take_up(folder.folder, "evaluate", {}, consumed, wish=wish, watch=watch, scratch=folder.partial)
        if plan.action is not Action.SKIP:
            if remark:
                watch.say(remark)
            device.set_threads(machine)
            index = read_index(workspace.prepare.index)
            test = index[index["split"] == Split.TEST]
            nets = [Net(f"train/{name}", record, test) for name, record in learners.items()]
            nets += [Net(f"finetune/{name}", record, test[test["group"] == name]) for name, record in members.items()]
            answers = _ask(workspace, nets, chosen, watch)
            predictions = combine(
                test,
                {name: answers[f"train/{name}"] for name in learners},
                {name: answers[f"finetune/{name}"] for name in members},
            )
            _write(workspace, predictions, list(learners), groups, device_name=device.Place(chosen, "fp32").name)
        scores = read_frame(folder.scores)
    models = tuple(models_of(list(learners)))
    return Evaluated(plan.action is Action.SKIP, scores, models, folder.report, notes)


def _consumed(
    prepared: Record, learners: dict[str, Record], roster: Record, members: dict[str, Record]
) -> dict[str, str]:
    found = {name: digest for name, digest in prepared.digests("prepare").items() if name.split("/")[1] in PREPARED}
    for step, records in (("train", learners), ("finetune", members)):
        for name, record in records.items():
            model = f"{step}/{name}/model.safetensors"
            found[model] = record.digests(f"{step}/{name}")[model]
    found["calibrate/roster.json"] = roster.digests("calibrate")["calibrate/roster.json"]
    found["calibrate/scores.csv"] = roster.digests("calibrate")["calibrate/scores.csv"]
    return found


def _ask(workspace: Workspace, nets: Sequence[Net], chosen: torch.device, watch: Watch) -> dict[str, Probabilities]:
    """Each net's probabilities of its rows, [N]; kept on disk as they come, so that a resume asks only the rest."""
    rows = np.array(nets[0].images["row"])
    images = Images(open_pixels(workspace.prepare.pixels), rows, chosen)
    answers = {}
    with watch.bar("nets", len(nets)) as bar:
        for net in nets:
            kept = workspace.evaluate.partial / f"{net.name.replace('/', '-')}.npy"
            if kept.is_file():
                answers[net.name] = np.load(kept, allow_pickle=False)
            else:
                place = device.Place(chosen, net.record.info["precision"])
                model = load_model(workspace.root / net.name / "model.safetensors")
                place.put(model)
                logits = logits_of(model, images, np.array(net.images["row"]), place=place, watch=watch)
                answers[net.name] = probabilities(logits)
                buffer = io.BytesIO()
                np.save(buffer, answers[net.name], allow_pickle=False)
                write_bytes(kept, buffer.getvalue())
            bar.advance(note=net.name)
    return answers


def _write(
    workspace: Workspace, predictions: pd.DataFrame, learners: list[str], groups: list[str], *, device_name: str
) -> None:
    """The files of the step, and its record last."""
    folder, models = workspace.evaluate, models_of(learners)
    extra = [name for name in predictions.columns if name not in COLUMNS and name not in models]
    table = predictions[[*IDS, *extra, *models]]
    scores = with_change(score_table(table, models, groups))
    roc = pd.concat([roc_points(table, models, level) for level in (Level.STUDY, Level.IMAGE)], ignore_index=True)
    page = contents(workspace, learners, scores=scores, roc=roc, maps=_maps(workspace, predictions))
    drawings = figures(page)
    write_frame(folder.predictions, table, private=True)
    write_frame(folder.scores, scores)
    write_frame(folder.roc, roc)
    for name, drawing in drawings.items():
        write_bytes(folder.figures / name, drawing)
    write_text(folder.report, render(page))
    names = ["predictions.csv", "scores.csv", "roc.csv", *(f"figures/{name}" for name in drawings), "report.html"]
    studies = int(table["study"].nunique())
    info = {"models": models, "images": len(table), "studies": studies}
    commit(folder.folder, names, device=device_name, info=info)
    shutil.rmtree(folder.partial)


def _maps(workspace: Workspace, predictions: pd.DataFrame) -> list[Picture]:
    """For each group, the map of the abnormal test image that the calibrated ensemble is most sure of (Fig. 3)."""
    pixels, pictures = open_pixels(workspace.prepare.pixels), []
    abnormal = predictions[predictions["label"] == 1].sort_values(CALIBRATED, ascending=False, kind="stable")
    for group, rows in abnormal.groupby("group", sort=True):
        row, net = int(rows["row"].iloc[0]), load_model(workspace.finetune(str(group)).model)
        picture = np.array(pixels[row])
        batch = torch.from_numpy(picture).float().div(255)[None, None]
        try:
            maps, _ = activation_maps(net, batch)
        except UsageError:
            continue  # the fc head has no map, and the report is complete without
        chance = float(rows[CALIBRATED].iloc[0])
        drawn = triptych(picture, maps[0], caption=f"p = {chance:.2f}  {group}")
        done, png = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
        assert done
        caption = f"{group}: an abnormal test image, probability {chance:.2f} (image as prepared | map | overlay)"
        pictures.append(Picture(caption=caption, png=png.tobytes()))
    return pictures
