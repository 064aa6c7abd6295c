"""Decision curve: the net benefit of each model over thresholds, as a figure."""

import pandas as pd

from murace.report.contents import Contents
from murace.report.curves.roc import LINES, OTHER
from murace.report.drawing import svg
from murace.report.text import formats
from murace.system.plotting import Figure
from murace.vocabulary import CALIBRATED

STEM = "benefit"
ALL, NONE = "all", "none"
NAMES = {ALL: "call all abnormal", NONE: "call none abnormal"}
TOLD = (0.1, 0.3, 0.5)


def draw(contents: Contents) -> bytes | None:
    """The figure as SVG; None where no net benefit is given."""
    curves = _curves(contents)
    if not curves:
        return None
    with svg.style(STEM):
        figure = Figure(figsize=(4.8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for model, curve in curves.items():
            default = model in NAMES
            line = LINES.get(model, OTHER)
            axes.plot(
                curve["threshold"],
                curve["net_benefit"],
                color=svg.MUTED if default else line.colour,
                linestyle=(0, (1, 1.5)) if model == NONE else "solid" if default else line.dashes,
                linewidth=1 if default else line.width,
                label=NAMES.get(model, formats.model_name(model)),
                zorder=3 if model == CALIBRATED else 2,
            )
        top = max(float(curve["net_benefit"].max()) for curve in curves.values())
        axes.set_ylim(-0.05, 1.12 * max(top, 0.05))
        axes.set_xlabel("Threshold probability")
        axes.set_ylabel("Net benefit per study")
        figure.legend(loc="outside lower center", ncols=3, handlelength=3.2, columnspacing=1.2)
        return svg.to_svg(figure, STEM)


def describe(contents: Contents) -> str:
    """The figure in words: the net benefit at three thresholds."""
    told = []
    for model, curve in _curves(contents).items():
        points = [f"{formats.score(_at(curve, threshold))} at {threshold:g}" for threshold in TOLD]
        told.append(f"{NAMES.get(model, formats.model_name(model))} {', '.join(points)}")
    return f"Decision curves, net benefit per test study at three thresholds: {'; '.join(told)}."


def _curves(contents: Contents) -> dict[str, pd.DataFrame]:
    if contents.benefit.empty:
        return {}
    return {str(model): curve for model, curve in contents.benefit.groupby("model", sort=False)}


def _at(curve: pd.DataFrame, threshold: float) -> float:
    nearest = (curve["threshold"] - threshold).abs().argmin()
    return float(curve["net_benefit"].iloc[nearest])
