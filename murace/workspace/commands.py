"""The command line that runs a step, with the settings of its last run."""

import shlex
from typing import Any

from murace.config import (
    ADDED,
    DERIVED,
    CalibrateConfig,
    EvaluateConfig,
    FinetuneConfig,
    PrepareConfig,
    Recipe,
    TrainConfig,
    option_of,
    params,
)
from murace.config import batch_size as batch_size_of
from murace.workspace.paths import Workspace
from murace.workspace.record import Record, begun, read_sound

_WORDS = {"prepare": "prepare SOURCE", "train": "train --arch {}", "finetune": "finetune --groups {}"}


def command(workspace: Workspace, place: str) -> str:
    """The command for a step by its place in the workspace, such as `train/resnet`.

    It has the settings of the unfinished run, else of the finished one, where they differ from the defaults: without
    them it would be refused, or make something else.
    """
    step, _, name = place.partition("/")
    return f"murace {_WORDS.get(step, step).format(shlex.quote(name))}{settings(workspace, place)}"


def settings(workspace: Workspace, place: str) -> str:
    """The options of a step's last run that differ from the defaults, as they are typed; empty without a record."""
    folder = workspace.root / place
    record = read_sound(folder, begun) or read_sound(folder)  # of the unfinished run, else of the finished one
    if record is None:
        return ""
    defaults = _defaults(place, record)
    changed = [key for key in defaults if key not in DERIVED and record.params.get(key, defaults[key]) != defaults[key]]
    return "".join(_typed(option_of(key), record.params[key]) for key in changed)


def _defaults(place: str, record: Record) -> dict[str, Any]:
    """A step's default settings."""
    step, _, name = place.partition("/")
    match step:
        case "prepare":
            return params(PrepareConfig()) | ADDED
        case "train":
            return params(TrainConfig(learner=name, recipe=Recipe(batch_size=batch_size_of(name, None))))
        case "finetune":
            return params(FinetuneConfig().recipe_for(str(record.params.get("learner"))))
        case "calibrate":
            return params(CalibrateConfig())
    return params(EvaluateConfig())


def _typed(option: str, value: Any) -> str:
    """A setting for a shell, whatever a record that somebody else wrote holds."""
    if value is True:
        return f" {option}"
    words = [str(word) for word in value] if isinstance(value, list) else [str(value)]
    given = words if option == "--slice" else [",".join(words)]
    return "".join(f" {option} {shlex.quote(word)}" for word in given)
