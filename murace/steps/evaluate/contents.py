"""Gather the contents of the report from a workspace: tables, settings, training histories and notes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from murace.config import BATCH_SIZES, EvaluateConfig, Recipe, params
from murace.data.audit import findings
from murace.data.sources.duplicates import dropped_notes
from murace.data.sources.listing import remark_notes
from murace.data.store import read_frame, read_index
from murace.data.tables.spelling import spelling_notes
from murace.report.contents import Contents
from murace.vocabulary import OVERALL, Split
from murace.workspace import Record, read
from murace.workspace.paths import FitFolder, Workspace
from murace.workspace.roster import read_roster

SYNTHETIC = (
    "Synthetic data: the pictures are drawings made by murace, not radiographs. "
    "No number here says anything about patients."
)
NO_PATIENTS = (
    "The data name no patients: every study counts as its own patient, so a patient-level split was not possible and "
    "these results may be too good."
)


def contents(
    workspace: Workspace,
    learners: Sequence[str],
    config: EvaluateConfig,
    *,
    tables: Mapping[str, Any],
    pictures: Mapping[str, Any],
) -> Contents:
    """The report of a workspace whose steps up to `finetune` are done.

    Args:
        workspace: where the records stand.
        learners: those that were evaluated.
        config: of the evaluation.
        tables: the frames of `Contents` that an evaluation makes, by their names.
        pictures: its pictures, by their names.
    """
    roster = read_roster(workspace.calibrate.roster)
    trained = {f"train/{name}": read(workspace.train(name).folder) for name in learners}
    members = {f"finetune/{group}": read(workspace.finetune(group).folder) for group in roster["groups"]}
    records = {name: record for name, record in {**trained, **members}.items() if record is not None}
    prepared, chosen = read(workspace.prepare.folder), read(workspace.calibrate.folder)
    assert prepared is not None
    assert chosen is not None
    steps = {"prepare": prepared, "calibrate": chosen, **records}
    index = read_index(workspace.prepare.index)
    return Contents(
        counts=read_frame(workspace.prepare.counts, needs=("group",)),
        learners=pd.DataFrame([_learner_row(name, records[f"train/{name}"]) for name in learners]),
        validation=read_frame(workspace.calibrate.scores, needs=("level", "learner", "group", "metric", "value")),
        roster=roster,
        histories={name: read_frame(FitFolder(workspace.root / name).history, needs=("epoch",)) for name in records},
        settings={name: dict(record.params) for name, record in steps.items()} | {"evaluate": params(config)},
        notes=notes(prepared, [records[f"train/{name}"] for name in learners]),
        facts=_facts(prepared, records),
        studies=_studies(index),
        best_epochs={name: int(record.info["best_epoch"]) for name, record in records.items()},
        flow=flow(index),
        rejected=dict(prepared.info.get("unusable", {})),
        patient_level=bool(prepared.info.get("patient_level", True)),
        **tables,
        **pictures,
    )


def flow(index: pd.DataFrame) -> pd.DataFrame:
    """Patients, studies and images of each split, overall and per group."""
    parts = [(OVERALL, index), *((str(group), part) for group, part in index.groupby("group", sort=True))]
    rows = []
    for split in Split:
        for group, part in parts:
            images = part[part["split"] == split]
            abnormal = images[images["label"] == 1]
            sizes = (images["patient"].nunique(), images["study"].nunique(), len(images), abnormal["study"].nunique())
            rows.append((str(split), group, *sizes))
    return pd.DataFrame(rows, columns=["split", "group", "patients", "studies", "images", "abnormal_studies"])


def notes(prepared: Record, trained: Sequence[Record]) -> list[str]:
    """What a reader must know before any number."""
    found = []
    if prepared.info.get("synthetic"):
        found.append(SYNTHETIC)
    if not prepared.info.get("patient_level", True):
        found.append(NO_PATIENTS)
    widths = sorted({float(record.params["width"]) for record in trained})
    if widths != [1.0]:
        shown = ", ".join(f"{width:g}" for width in widths)
        found.append(f"The nets are not the paper's size: their channels are scaled by {shown}.")
    found += recipe_notes(trained)
    if prepared.info.get("rejected"):
        found.append(f"{prepared.info['rejected']:,} image files could not be used; prepare/rejected.csv lists them.")
    found += [f"{note}." for note in remark_notes(prepared.info.get("remarks", {}))]
    found += [f"{note}." for note in spelling_notes(prepared.info.get("alike", {}))]
    found += [f"{note} (--leaks)." for note in dropped_notes(prepared.info.get("dropped", {}))]
    found += [f"{note}." for note in findings.notes(prepared.info.get("findings", {}))]
    return found


def recipe_notes(trained: Sequence[Record]) -> list[str]:
    """Where the learners were not trained as in the paper's Table 2."""
    epochs = max(int(record.params["epochs"]) for record in trained)
    batches = {str(record.params["learner"]): int(record.params["batch_size"]) for record in trained}
    found = []
    if epochs < Recipe().epochs:
        found.append(f"The learners were trained for at most {epochs} epochs; the paper allows {Recipe().epochs}.")
    if any(batches[name] != BATCH_SIZES[name] for name in batches):
        shown = ", ".join(f"{name} {size}" for name, size in batches.items())
        found.append(f"The batches are not the paper's: {shown}.")
    return found


def _learner_row(learner: str, record: Record) -> dict[str, Any]:
    info = record.info
    return {
        "learner": learner,
        **{key: info[key] for key in ("parameters", "trainable", "batch_size", "epochs", "best_epoch")},
        "hours": info["seconds"] / 3600,
        **{key: info[key] for key in ("images_per_second", "precision")},
        "device": record.device,
    }


def _facts(prepared: Record, records: Mapping[str, Record]) -> dict[str, Any]:
    return {
        **prepared.versions,
        "split seed": prepared.seed,
        "training seeds": ", ".join(sorted({str(record.seed) for record in records.values()})),
        "prepared": prepared.started,
        "last member finished": max((record.ended for record in records.values()), default=""),
        "devices": ", ".join(sorted({record.device for record in records.values()})),
    }


def _studies(index: pd.DataFrame) -> dict[str, int]:
    """Test studies per group, and overall."""
    test = index[index["split"] == Split.TEST]
    counts = test.groupby("group")["study"].nunique()
    return {OVERALL: int(test["study"].nunique()), **{str(group): int(count) for group, count in counts.items()}}
