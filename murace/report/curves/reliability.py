"""Reliability diagram: observed frequency against predicted probability, before and after calibration."""

import pandas as pd

from murace.report.contents import Contents
from murace.report.curves.roc import LINES, OTHER
from murace.report.drawing import svg
from murace.report.text import formats
from murace.system.plotting import Axes, Figure, MaxNLocator
from murace.vocabulary import CALIBRATED, RESNET_DENSENET

STAGES = {"raw": "before", "calibrated": "after temperature"}
BEFORE = "#9aa1ab"
DIAGONAL = "#b3bac4"
LARGE, SMALL = (4.5, 5.3), (3.3, 4.1)


def stem(model: str) -> str:
    """The name of a model's figure file, without its ending."""
    return f"reliability-{svg.slug('resnet-densenet' if model == RESNET_DENSENET else model)}"


def models(contents: Contents) -> list[str]:
    """The models with a diagram, the calibrated ensemble first."""
    if contents.reliability.empty:
        return []
    return sorted(dict.fromkeys(contents.reliability["model"]), key=lambda model: model != CALIBRATED)


def draw(contents: Contents) -> dict[str, bytes]:
    """One SVG for each model, by its file name."""
    return {f"{stem(model)}.svg": _draw(model, _bins(contents, model)) for model in models(contents)}


def describe(contents: Contents, model: str) -> str:
    """The diagram in words."""
    told = []
    for stage, name in STAGES.items():
        bins = _bins(contents, model)
        part = bins[bins["stage"] == stage]
        points = [
            f"{formats.score(line['mean'], 2)} to {formats.score(line['observed'], 2)} ({int(line['cases'])} studies)"
            for line in part.to_dict("records")
        ]
        if points:
            told.append(f"{name}: {', '.join(points)}")
    return (
        f"Reliability diagram of {formats.model_name(model)}. Mean probability of a bin to its share of abnormal "
        f"studies; {'; '.join(told)}."
    )


def _bins(contents: Contents, model: str) -> pd.DataFrame:
    """The bins of a model that hold any study."""
    frame = contents.reliability
    return frame[(frame["model"] == model) & (frame["cases"] > 0)]


def _draw(model: str, bins: pd.DataFrame) -> bytes:
    large = model == CALIBRATED
    with svg.style(stem(model)):
        figure = Figure(figsize=LARGE if large else SMALL, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4.2, 1])
        upper.plot([0, 1], [0, 1], color=DIAGONAL, linewidth=1, zorder=1)
        for stage in [stage for stage in STAGES if stage in set(bins["stage"])]:
            _draw_stage(upper, lower, bins[bins["stage"] == stage], model=model, stage=stage)
        _frame(upper, lower, title=formats.model_name(model), most=int(bins["cases"].max()))
        return svg.to_svg(figure, stem(model))


def _draw_stage(upper: Axes, lower: Axes, part: pd.DataFrame, *, model: str, stage: str) -> None:
    """Points with Wilson bars above; below, a stem as high as the bin has studies."""
    raw = stage == "raw"
    colour = BEFORE if raw else LINES.get(model, OTHER).colour
    mean, observed = part["mean"].to_numpy(float), part["observed"].to_numpy(float)
    errors = [(observed - part["low"].to_numpy(float)).clip(0), (part["high"].to_numpy(float) - observed).clip(0)]
    upper.errorbar(
        mean,
        observed,
        yerr=errors,
        fmt="s--" if raw else "o-",
        color=colour,
        markersize=4 if raw else 5,
        markerfacecolor="white" if raw else colour,
        linewidth=1,
        elinewidth=0.9,
        capsize=2,
        label=STAGES[stage],
        zorder=2 if raw else 3,
    )
    lower.vlines(mean, 0, part["cases"], color=colour, linewidth=2.2 if raw else 3, zorder=2 if raw else 3)


def _frame(upper: Axes, lower: Axes, *, title: str, most: int) -> None:
    upper.set_xlim(-0.02, 1.02)
    upper.set_ylim(-0.02, 1.02)
    upper.set_title(title)
    upper.set_ylabel("Share that is abnormal")
    upper.legend(loc="upper left", handlelength=2.6)
    lower.set_ylabel("Studies")
    lower.set_xlabel("Mean probability of the bin")
    lower.set_ylim(0, 1.15 * max(1, most))
    lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
