"""The group model as one file: float64 tensors and JSON, nothing that could run code."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from murace.errors import WorkspaceError
from murace.inference.recogniser.model import MEND, GroupModel, Support
from murace.system.files import parse_json, write_bytes
from murace.vocabulary import LEARNERS, OVERALL, Level, is_group

METADATA = "murace"  # one key only: safetensors writes several in any order, and bytes must not depend on chance
TENSORS = ("means", "whitening")
MAX_HEADER = 2**20  # bytes
# What a file that is none of ours may raise on its way into a model.
ILL_FORMED = (KeyError, ValueError, TypeError, AttributeError, RecursionError, OSError, SafetensorError, OverflowError)


def save_group_model(path: Path, model: GroupModel) -> None:
    """Write the model; its bytes depend on nothing else."""
    metadata = {METADATA: json.dumps(facts_of(model), sort_keys=True, allow_nan=False)}
    tensors = {name: np.ascontiguousarray(getattr(model, name)) for name in TENSORS}
    write_bytes(path, save(tensors, metadata=metadata))


def facts_of(model: GroupModel) -> dict[str, Any]:
    """All of the model but its arrays, as JSON."""
    counted = {
        level: {group: asdict(support) for group, support in groups.items()} for level, groups in model.accuracy.items()
    }
    names = ("learner", "weights_sha256", "distance_limit", "temperature", "confidence")
    return {"groups": list(model.groups), **{name: getattr(model, name) for name in names}, "accuracy": counted}


def load_group_model(path: Path) -> GroupModel:
    """Read what `save_group_model` has written.

    Raises:
        WorkspaceError: the file is missing, damaged or foreign.
    """
    try:
        return group_model_from(path.read_bytes())
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be read ({error.strerror}). {MEND}") from error
    except ValueError as error:
        raise WorkspaceError(f"{path} {error}. {MEND}") from error


def group_model_from(data: bytes) -> GroupModel:
    """The model in the bytes of its file, which somebody else may have written.

    Raises:
        ValueError: they are not the bytes of a model, or it makes no sense.
    """
    try:
        length = int.from_bytes(data[:8], "little")
        _require(length <= MAX_HEADER, "its header is too long")
        facts = parse_json(parse_json(data[8 : 8 + length])["__metadata__"][METADATA])
        tensors = load(data)
        model = GroupModel(
            groups=tuple(facts["groups"]),
            learner=facts["learner"],
            weights_sha256=facts["weights_sha256"],
            accuracy=_accuracy(facts["accuracy"]),
            means=tensors["means"],
            whitening=tensors["whitening"],
            distance_limit=float(facts["distance_limit"]),
            temperature=float(facts["temperature"]),
            confidence=float(facts["confidence"]),
        )
        _require(set(tensors) == set(TENSORS), "it has other arrays")
        _check(model)
    except ILL_FORMED as error:
        raise ValueError(f"does not hold a group recogniser ({error})") from error
    return model


def _accuracy(levels: Mapping[str, Any]) -> dict[str, dict[str, Support]]:
    found = {
        level: {
            group: Support(**{name: int(number) for name, number in counts.items()}) for group, counts in groups.items()
        }
        for level, groups in levels.items()
    }
    _require(set(found) == {str(level) for level in Level}, "its accuracy is of other levels")
    for support in (support for groups in found.values() for support in groups.values()):
        _require(0 <= max(support.right, support.refused) <= support.count, "its accuracy makes no sense")
        _require(min(support.right, support.refused) >= 0, "its accuracy makes no sense")
    return found


def _check(model: GroupModel) -> None:
    """Names, numbers, and arrays of one form that are finite."""
    groups, means, whitening = model.groups, model.means, model.whitening
    _require(len(groups) >= 2 and list(groups) == sorted({*groups}), "its groups are not two or more, sorted")
    _require(all(map(is_group, groups)), "a group has no possible name")
    _require(all(set(found) == {OVERALL, *groups} for found in model.accuracy.values()), "its accuracy is of others")
    _require(model.learner in LEARNERS, "it names no learner of ours")
    _require(isinstance(model.weights_sha256, str) and len(model.weights_sha256) == 64, "it names no weights")
    _require(means.dtype == whitening.dtype == np.float64 and means.ndim == 2, "its arrays are of another form")
    width = means.shape[1]
    _require(means.shape == (len(groups), width) and whitening.shape == (width, width), "its arrays do not fit")
    _require(width > 0 and bool(np.isfinite(means).all() and np.isfinite(whitening).all()), "a number is not finite")
    _require(0 < model.distance_limit < math.inf and 1 <= model.temperature < math.inf, "a limit makes no sense")
    _require(0 < model.confidence <= 1, "its confidence makes no sense")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
