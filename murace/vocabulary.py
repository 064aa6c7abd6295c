"""The names that appear in files, options and tables, each spelled once."""

import difflib
import re
from collections.abc import Iterable
from enum import StrEnum

LEARNERS = ("convnet", "resnet", "densenet")
RESNET_DENSENET = "resnet+densenet"
CALIBRATED = "calibrated"
OVERALL = "overall"
BASELINE = "convnet"
RESCALED = "_calibrated"  # after a model's name: the column of its calibrated probability

DISCLAIMER = "Research software, not a medical device: not for diagnosis or any other clinical use."

GROUP_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Split(StrEnum):
    """The part of the data a patient belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Level(StrEnum):
    """What one decision is about: a view, or a study (the mean over its views)."""

    IMAGE = "image"
    STUDY = "study"


class Metric(StrEnum):
    """The five measures of the paper's Table 3."""

    AUC = "auc"
    ACCURACY = "accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    KAPPA = "kappa"


METRIC_ALIASES = {"acc": Metric.ACCURACY}
MEASURES = (*map(str, Metric), "specificity", "npv", "f1", "mcc", "average_precision", "brier", "ece")
METHODS = ("cam", "gradcam", "gradcam++")
SENSITIVITIES = (90, 95)  # per cent, of the operating points
POINTS = ("half", "youden", *(f"sensitivity_{wanted}" for wanted in SENSITIVITIES))
LOWER_IS_BETTER = ("brier", "ece")


def is_group(name: str) -> bool:
    """Whether `name` may name a group: lower case, at most 40 characters, not the reserved `overall`."""
    return GROUP_PATTERN.fullmatch(name) is not None and name != OVERALL


def closest(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'resnet'?``, or the list of known names where none is close."""
    names = sorted(known)
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else f"; known: {', '.join(names)}"
