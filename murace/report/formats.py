"""How numbers and names are written on the page."""

import math
from collections.abc import Mapping
from typing import Any

from murace.vocabulary import CALIBRATED, RESNET_DENSENET

NAN = float("nan")
DASH = "–"  # noqa: RUF001 - undefined; never 0
MINUS = "−"  # noqa: RUF001 - the sign, as wide as the plus
MODEL_NAMES = {
    "convnet": "ConvNet",
    "resnet": "ResNet",
    "densenet": "DenseNet",
    RESNET_DENSENET: "Res+Dense",
    CALIBRATED: "Calibrated",
}
METRIC_NAMES = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "kappa": "Cohen's kappa",
}


def model_name(name: str) -> str:
    """A model as the paper's tables write it."""
    return MODEL_NAMES.get(name, name)


def metric_name(name: str) -> str:
    """A metric as the paper's tables write it."""
    return METRIC_NAMES.get(name, name)


def group_name(name: str) -> str:
    """A group with a capital."""
    return name[:1].upper() + name[1:]


def is_missing(value: Any) -> bool:
    """Whether there is no number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def score(value: float | None, digits: int = 3) -> str:
    """A score with a true minus sign; a dash where it is undefined."""
    return DASH if value is None or is_missing(value) else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float) -> str:
    """A short number with its sign; zero has none."""
    return f"{value:+g}".replace("-", MINUS) if value else "0"


def count(value: Any) -> str:
    """A whole number with thousands separated."""
    return DASH if is_missing(value) else f"{int(value):,}"


def change(value: float | None) -> str:
    """A fraction as a signed percentage, such as ``+5.7%``."""
    if value is None or not math.isfinite(value):
        return ""
    text = f"{value * 100:+.1f}%"
    return "±0.0%" if text[1:] == "0.0%" else text.replace("-", MINUS)


def hours(value: float) -> str:
    """A time in the unit that reads best."""
    if is_missing(value):
        return DASH
    if value >= 1:
        return f"{value:.1f} h"
    return f"{value * 60:.1f} min" if value * 60 >= 1 else f"{value * 3600:.0f} s"


def plain(value: Any) -> str:
    """A setting or a fact as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_missing(value):
        return DASH
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def listing(words: list[str]) -> str:
    """Words joined as a sentence does: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def rate(value: float) -> str:
    """Images per second."""
    if is_missing(value):
        return DASH
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
