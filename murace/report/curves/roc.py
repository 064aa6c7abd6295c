"""Figure 2: the ROC curves of all models in one figure."""

from dataclasses import dataclass

import pandas as pd

from murace.report.contents import Contents
from murace.report.drawing import svg
from murace.report.text import formats
from murace.system.plotting import Axes, Figure
from murace.vocabulary import CALIBRATED, OVERALL, RESNET_DENSENET, Level, Metric

THRESHOLD = 0.5
Dashes = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Line:
    """How a model is drawn: a colour of Okabe and Ito's set, and a dash of its own for those who see no colour."""

    colour: str
    dashes: Dashes
    width: float = 1.4


LINES = {
    "convnet": Line("#E69F00", (0, (1.2, 1.6))),
    "resnet": Line("#0072B2", (0, (5, 2))),
    "densenet": Line("#009E73", (0, (5, 1.6, 1.2, 1.6))),
    RESNET_DENSENET: Line("#CC79A7", (0, (9, 2.5))),
    CALIBRATED: Line("#000000", "solid", 1.8),
}
OTHER = Line("#6b7280", "solid")


def draw(contents: Contents) -> bytes | None:
    """The figure as SVG; None where no model has a curve."""
    curves = _curves(contents)
    if not curves:
        return None
    with svg.style("roc"):
        figure = Figure(figsize=(5.2, 5.0), layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=svg.GRID, linewidth=1, zorder=1)
        for model, curve in curves.items():
            _draw_curve(axes, model, curve, auc(contents, model))
        _frame(axes)
        return svg.to_svg(figure, "roc")


def describe(contents: Contents) -> str:
    """The figure in words."""
    areas = [f"{formats.model_name(model)} AUC {formats.score(auc(contents, model))}" for model in _curves(contents)]
    return f"ROC curves on the test split, per study: {', '.join(areas)}."


def auc(contents: Contents, model: str) -> float:
    """The overall AUC per study from the score table."""
    scores = contents.scores
    wanted = {"level": Level.STUDY, "model": model, "group": OVERALL, "metric": Metric.AUC}
    found = scores.loc[(scores[list(wanted)] == pd.Series(wanted)).all(axis=1), "value"]
    return float(found.iloc[0]) if len(found) else float("nan")


def decision_point(curve: pd.DataFrame) -> pd.DataFrame:
    """The row of the curve where everything from 0.5 on is called abnormal."""
    return curve[curve["threshold"] >= THRESHOLD].tail(1)


def _curves(contents: Contents) -> dict[str, pd.DataFrame]:
    frame = contents.roc[contents.roc["level"] == Level.STUDY]
    return {str(model): curve for model, curve in frame.groupby("model", sort=False)}


def _draw_curve(axes: Axes, model: str, curve: pd.DataFrame, area: float) -> None:
    line = LINES.get(model, OTHER)
    order = 3 if model == CALIBRATED else 2
    label = f"{formats.model_name(model)} {formats.score(area)}"
    axes.plot(
        curve["fpr"],
        curve["tpr"],
        color=line.colour,
        linestyle=line.dashes,
        linewidth=line.width,
        label=label,
        zorder=order,
    )
    at_half = decision_point(curve)
    axes.plot(
        at_half["fpr"], at_half["tpr"], "o", color=line.colour, markersize=6, markeredgecolor="white", zorder=order + 2
    )


def _frame(axes: Axes) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_aspect("equal")
    axes.set_xlabel("1 − specificity (false positive rate)")  # noqa: RUF001
    axes.set_ylabel("Sensitivity (true positive rate)")
    axes.plot([], [], "o", color=svg.MUTED, markersize=6, label="decision at 0.5")
    axes.legend(loc="lower right", title="AUC, per study", alignment="left", handlelength=3.2)
