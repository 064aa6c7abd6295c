"""Operating points (thresholds) and temperatures of each model, fitted on validation studies, stored and frozen.

They belong to the weights that gave the probabilities: their file names these by digest and is refused for others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from murace.errors import WorkspaceError
from murace.metrics.calibration import COLUMNS
from murace.metrics.scores import NAN
from murace.metrics.table import by_study
from murace.metrics.temperature import apply_temperature, fit_by_group
from murace.metrics.threshold import HALF, operating_points
from murace.system.files import read_json, write_json
from murace.vocabulary import CALIBRATED, OVERALL, POINTS, RESCALED

SCHEMA = 1
Digests = Mapping[str, str]  # file of weights -> SHA-256


@dataclass(frozen=True, kw_only=True)
class Readout:
    """One model's temperature (of `groups` where each has its own) and thresholds of the raw study probability."""

    temperature: float
    groups: Mapping[str, float]
    points: Mapping[str, float]
    studies: int
    weights: Digests


def column_of(model: str) -> str:
    """The column of a model's calibrated probability."""
    return f"{model}{RESCALED}"


def fit(images: pd.DataFrame, models: Sequence[str], weights: Mapping[str, Digests]) -> dict[str, Readout]:
    """Fit each model's temperature and operating points on validation studies.

    The calibrated ensemble has a temperature per group, since each group has a net of its own; the other models have
    one. Where validation has one class, the temperature is 1 and only the threshold 0.5 is defined.

    Args:
        images: validation images; columns study, group, label and one per model.
        models: the probability columns.
        weights: model -> the digests of the weights that it is made of.
    """
    studies = by_study(images, models)
    labels, groups = studies["label"].to_numpy(dtype=np.int64), studies["group"].to_numpy(dtype=str)
    found = {}
    for model in models:
        chances = studies[model].to_numpy(dtype=np.float64)
        overall, by_group = fit_by_group(labels, chances, groups)
        found[model] = Readout(
            temperature=overall,
            groups=by_group if model == CALIBRATED else {},
            points=operating_points(labels, chances),
            studies=len(studies),
            weights=dict(weights[model]),
        )
    return found


def apply(images: pd.DataFrame, readouts: Mapping[str, Readout]) -> pd.DataFrame:
    """Add `<model>_calibrated`: sigmoid(logit(mean p) / T) of the image's study, the same on all its images.

    The temperature is fitted on studies, after their mean is taken; so the mean over a study's images is the study's
    calibrated probability, and it is on the same side of 0.5 as the raw one.
    """
    means = images.groupby("study")[list(readouts)].transform("mean")
    columns = {}
    for model, readout in readouts.items():
        scaled = np.empty(len(images))
        for group in sorted(set(images["group"])):
            rows = (images["group"] == group).to_numpy()
            temperature = readout.groups.get(group, readout.temperature)
            scaled[rows] = apply_temperature(means.loc[rows, model].to_numpy(dtype=np.float64), temperature)
        columns[column_of(model)] = scaled
    return images.assign(**columns)


def content(readouts: Mapping[str, Readout]) -> dict[str, Any]:
    """The readouts as a JSON object; a threshold that is undefined is null."""
    models = {
        model: {
            "temperature": readout.temperature,
            "groups": dict(readout.groups),
            "points": {name: None if np.isnan(value) else value for name, value in readout.points.items()},
            "studies": readout.studies,
            "weights": dict(readout.weights),
        }
        for model, readout in readouts.items()
    }
    return {"schema": SCHEMA, "level": "study", "fitted_on": "validation", "models": models}


def save(path: Path, readouts: Mapping[str, Readout]) -> None:
    """Write the readouts."""
    write_json(path, content(readouts))


def load(path: Path, weights: Mapping[str, Digests]) -> dict[str, Readout]:
    """Read the readouts of models made of exactly these weights.

    Raises:
        WorkspaceError: the file is missing or damaged, or was fitted to other weights.
    """
    if not path.is_file():
        raise WorkspaceError(f"{path} is missing. Run: murace evaluate")
    try:
        return parse(read_json(path), weights)
    except ValueError as error:
        raise WorkspaceError(f"{path} {error}. Run: murace evaluate --force") from error


def parse(values: Any, weights: Mapping[str, Digests]) -> dict[str, Readout]:
    """The inverse of `content`, for models made of exactly these weights.

    Raises:
        ValueError: it is not what `content` gives, or was fitted to other weights; the message follows a file's name.
    """
    try:
        models = values["models"]
        other = [model for model in weights if models.get(model, {}).get("weights") != dict(weights[model])]
        if not other:
            return {model: _readout(models[model]) for model in weights}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise ValueError("is damaged: a number or a part is missing or makes no sense") from error
    raise ValueError(f"was fitted to other weights of {', '.join(other)}")


def _readout(values: Any) -> Readout:
    temperatures = [values["temperature"], *values["groups"].values()]
    points = values["points"]
    thresholds = [value for value in points.values() if value is not None]
    is_complete = set(points) == set(POINTS) and points[POINTS[0]] == HALF
    is_sound = (
        is_complete
        and all(0 < float(value) < np.inf for value in temperatures)
        and all(0 <= value <= 1 for value in thresholds)
    )
    if not is_sound:
        raise ValueError
    return Readout(
        temperature=float(values["temperature"]),
        groups={str(group): float(value) for group, value in values["groups"].items()},
        points={str(name): NAN if value is None else float(value) for name, value in values["points"].items()},
        studies=int(values["studies"]),
        weights=values["weights"],
    )


def temperatures(readouts: Mapping[str, Readout]) -> pd.DataFrame:
    """The temperatures as rows of the calibration table: model, group, stage, metric, value, low, high, undefined."""
    rows = [
        (model, group, "calibrated", "temperature", value, NAN, NAN, 0)
        for model, readout in readouts.items()
        for group, value in {OVERALL: readout.temperature, **readout.groups}.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
