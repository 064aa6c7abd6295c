"""Format numbers, intervals, p-values and names for the report."""

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
    "specificity": "Specificity",
    "npv": "Negative predictive value",
    "f1": "F1 score",
    "mcc": "Matthews correlation",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "ece": "Expected calibration error",
}
PROPER = ("AUC", "Brier", "Cohen", "F1", "Matthews")
SPLIT_NAMES = {"train": "Training", "validation": "Validation", "test": "Test"}


def model_name(name: str) -> str:
    """A model as the paper's tables write it."""
    return MODEL_NAMES.get(name, name)


def metric_name(name: str) -> str:
    """A metric as the paper's tables write it."""
    return METRIC_NAMES.get(name, name)


def metric_inside(name: str) -> str:
    """A metric's name within a sentence; proper names keep their capital."""
    text = metric_name(name)
    return text if text.startswith(PROPER) else text[:1].lower() + text[1:]


def group_name(name: str) -> str:
    """A group with a capital."""
    return name[:1].upper() + name[1:]


def is_missing(value: Any) -> bool:
    """Whether there is no number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def score(value: float | None, digits: int = 3) -> str:
    """A score with a true minus sign; a dash where it is undefined."""
    if value is None or is_missing(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """The two ends of an interval; empty where one of them is missing."""
    return "" if is_missing(low) or is_missing(high) else f"{score(low)} to {score(high)}"


def difference(value: float | None) -> str:
    """A difference of two scores, always with its sign; a dash where it is undefined."""
    if value is None or is_missing(value):
        return DASH
    text = f"{value:+.3f}"
    return "±0.000" if text[1:] == "0.000" else text.replace("-", MINUS)


def p_value(value: float | None) -> str:
    """A p-value as text, such as ``p = 0.042``; empty where there is none."""
    if value is None or is_missing(value):
        return ""
    if value < 0.001:
        return "p < 0.001"
    return "p > 0.999" if value > 0.999 else f"p = {value:.3f}"


def threshold(value: float | None) -> str:
    """A threshold; one that rounding would make 0 or 1 says on which side of that it lies."""
    if value is None or is_missing(value) or value in (0, 1) or 0.0005 <= value < 0.9995:
        return score(value)
    return "<0.001" if value < 0.5 else ">0.999"


def share(value: float | None) -> str:
    """A share as a whole percentage; less than one half of a percent is not 0%."""
    if value is None or is_missing(value):
        return DASH
    return "<1%" if 0 < value < 0.005 else f"{value * 100:.0f}%"


def stability(value: float | None) -> str:
    """A share of resamples as a whole percentage, rounded down: 59.9% must not be read as 60%."""
    if value is None or is_missing(value):
        return DASH
    return "<1%" if 0 < value < 0.01 else f"{math.floor(value * 100 + 1e-9)}%"


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
        return ", ".join(plain(item) for item in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def listing(words: list[str]) -> str:
    """Words joined as a sentence does: ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def rate(value: float) -> str:
    """Images per second."""
    if is_missing(value):
        return DASH
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
