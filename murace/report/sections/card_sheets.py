"""The model card's tables as text: the calibrated ensemble alone, one decision per study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from murace.report.contents import Contents
from murace.report.sections import support
from murace.report.sections.comparison import overall_first
from murace.report.sections.flow import UNITS
from murace.report.sections.operating import POINTS
from murace.report.text import formats
from murace.report.text.grid import Line, by_columns
from murace.vocabulary import CALIBRATED, OVERALL, Level

SCORES = {"auc": "AUC", "accuracy": "Accuracy", "recall": "Sensitivity", "specificity": "Specificity", "kappa": "Kappa"}
APPLIED = {
    ("validation", "recall"): "Sensitivity, validation",
    ("test", "recall"): "Sensitivity, test",
    ("test", "specificity"): "Specificity, test",
    ("test", "npv"): "NPV, test",
}
CALIBRATION = {
    ("calibrated", "temperature"): "Temperature",
    ("raw", "ece"): "ECE before",
    ("calibrated", "ece"): "ECE after",
    ("raw", "brier"): "Brier score before",
    ("calibrated", "brier"): "Brier score after",
    ("raw", "slope"): "Slope before",
    ("calibrated", "slope"): "Slope after",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """Headings, and lines of as many texts; no lines where nothing is known."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]


def sheets(contents: Contents) -> dict[str, Sheet]:
    """Every table of the card by its name."""
    return {
        "learners": _learners(contents),
        "settings": _pairs("Step", "Settings", contents.settings),
        "facts": _pairs("What", "Value", contents.facts),
        "data": _data(contents),
        "rejected": _pairs("Reason", "Files", contents.rejected),
        "scores": _scores(contents),
        "operating": _operating(contents),
        "calibration": _calibration(contents),
        "roster": _roster(contents),
    }


def _pairs(name: str, value: str, pairs: Mapping[str, Any]) -> Sheet:
    return Sheet(head=[name, value], lines=[[key, formats.plain(what)] for key, what in pairs.items()])


def _learners(contents: Contents) -> Sheet:
    serving = [choice["learner"] for choice in contents.roster["groups"].values()]
    lines = [
        [
            formats.model_name(line["learner"]),
            formats.count(line["parameters"]),
            formats.count(line["epochs"]),
            formats.count(line["best_epoch"]),
            str(serving.count(line["learner"])),
        ]
        for line in contents.learners.to_dict("records")
    ]
    return Sheet(head=["Architecture", "Parameters", "Epochs trained", "Epoch kept", "Groups served"], lines=lines)


def _data(contents: Contents) -> Sheet:
    """Patients, studies and images of each split where they are known; else the images of each group."""
    if not contents.flow.empty:
        totals = contents.flow[contents.flow["group"] == OVERALL].to_dict("records")
        lines = [
            [formats.SPLIT_NAMES[line["split"]], *(formats.count(line[unit]) for unit in UNITS)] for line in totals
        ]
        return Sheet(head=["Split", "Patients", "Studies", "Abnormal studies", "Images"], lines=lines)
    names = [f"{split}_{side}" for split in formats.SPLIT_NAMES for side in ("positive", "negative")]
    head = [f"{name}, {side}" for name in formats.SPLIT_NAMES.values() for side in ("abnormal", "normal")]
    lines = [
        [formats.group_name(line["group"]), *(formats.count(line[name]) for name in names)]
        for line in contents.counts.to_dict("records")
    ]
    return Sheet(head=["Images of", *head], lines=lines)


def _scores(contents: Contents) -> Sheet:
    frame = contents.scores[(contents.scores["level"] == Level.STUDY) & (contents.scores["model"] == CALIBRATED)]
    found = by_columns(frame, "group", "metric")
    small = support.small_groups(contents, Level.STUDY)
    lines = [
        [
            formats.group_name(group) + (f" ({small[group]})" if group in small else ""),
            formats.count(contents.studies.get(group)),
            *(_value(found.get((group, metric), {})) for metric in SCORES),
        ]
        for group in overall_first(frame["group"])
    ]
    return Sheet(head=["Group", "Studies", *SCORES.values()], lines=lines)


def _operating(contents: Contents) -> Sheet:
    found = by_columns(_ours(contents.operating), "point", "split", "metric")
    thresholds = {key[0]: line["threshold"] for key, line in found.items()}
    lines = [
        [
            POINTS.get(point, point),
            formats.threshold(threshold),
            *(_value(found.get((point, *key), {})) for key in APPLIED),
        ]
        for point, threshold in thresholds.items()
    ]
    return Sheet(head=["Chosen by", "Threshold", *APPLIED.values()], lines=lines)


def _calibration(contents: Contents) -> Sheet:
    found = by_columns(_ours(contents.calibration), "group", "stage", "metric")
    lines = [
        [formats.group_name(group), *(formats.score(found.get((group, *key), {}).get("value")) for key in CALIBRATION)]
        for group in overall_first(key[0] for key in found)
    ]
    return Sheet(head=["Group", *CALIBRATION.values()], lines=lines)


def _roster(contents: Contents) -> Sheet:
    lines = [
        [
            formats.group_name(group),
            formats.model_name(choice["learner"]),
            ", ".join(f"{formats.model_name(name)} {number}" for name, number in choice["votes"].items()),
            formats.stability(choice.get("stability", {}).get(choice["learner"])),
            ", ".join(word for word, holds in (("tie", choice["tie"]), ("near-tie", choice.get("near_tie"))) if holds),
        ]
        for group, choice in contents.roster["groups"].items()
    ]
    return Sheet(head=["Group", "Architecture", "Votes", "Share of resamples", "Remark"], lines=lines)


def _ours(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if frame.empty else frame[frame["model"] == CALIBRATED]


def _value(line: Line) -> str:
    interval = formats.interval(line.get("low"), line.get("high"))
    return formats.score(line.get("value")) + (f" ({interval})" if interval else "")
