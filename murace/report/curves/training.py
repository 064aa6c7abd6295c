"""Training curves: loss above, validation scores below, the kept epoch marked."""

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from murace.report.contents import Contents
from murace.report.curves.roc import Dashes
from murace.report.drawing import svg
from murace.report.text import formats
from murace.system.plotting import Axes, Figure, MaxNLocator

Limits = tuple[float, float]
Line = tuple[str, str, Dashes]  # label, colour, dashes
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
LOSSES: dict[str, Line] = {
    "train_loss": ("training", BLUE, "solid"),
    "validation_loss": ("validation", ORANGE, (0, (4, 1.6))),
}
SCORES: dict[str, Line] = {"auc": ("AUC", GREEN, "solid"), "kappa": ("kappa", PINK, (0, (4, 1.6)))}


def draw(contents: Contents, part: str) -> dict[str, bytes]:
    """One SVG for each history below `part` (``train`` or ``finetune``), by its file name; all on the same scales."""
    histories = of_part(contents, part)
    losses = _limits((history[list(LOSSES)] for history in histories.values()), least=0.0)
    scores = _limits((history[list(SCORES)] for history in histories.values()), least=0.0, most=1.0)
    drawn = {}
    for name, history in histories.items():
        best = best_epoch(contents, part, name)
        with svg.style(stem(part, name)):
            figure = Figure(figsize=(3.3, 3.7), layout="constrained")
            upper, lower = figure.subplots(2, 1, sharex=True)
            _draw_panel(upper, history, LOSSES, losses)
            _draw_panel(lower, history, SCORES, scores)
            for axes in (upper, lower) if best is not None else ():
                axes.axvline(best, color=svg.MUTED, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1)
            upper.set_title(title(contents, part, name))
            upper.set_ylabel("Weighted loss")
            lower.set_ylabel("Validation score")
            lower.set_xlabel("Epoch")
            lower.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            drawn[f"{stem(part, name)}.svg"] = svg.to_svg(figure, stem(part, name))
    return drawn


def stem(part: str, name: str) -> str:
    """The name of a history's figure file, without its ending."""
    return f"{part}-{svg.slug(name)}"


def of_part(contents: Contents, part: str) -> Mapping[str, pd.DataFrame]:
    """The histories below one folder, by the rest of their names."""
    return {
        name.removeprefix(f"{part}/"): history
        for name, history in contents.histories.items()
        if name.startswith(f"{part}/") and len(history)
    }


def title(contents: Contents, part: str, name: str) -> str:
    """The learner; for a member its group and learner."""
    if part == "train":
        return formats.model_name(name)
    choice = contents.roster["groups"].get(name)
    return formats.group_name(name) + (f", {formats.model_name(choice['learner'])}" if choice else "")


def best_epoch(contents: Contents, part: str, name: str) -> int | None:
    """The epoch whose weights were kept, where the contents say it."""
    given = contents.best_epochs.get(f"{part}/{name}")
    if given is None and part == "train":
        learners = contents.learners.set_index("learner")["best_epoch"]
        given = learners.get(name)
    return None if given is None or formats.is_missing(given) else int(given)


def describe(contents: Contents, part: str, name: str) -> str:
    """The figure in words."""
    history = of_part(contents, part)[name]
    last = history.iloc[-1]
    best = best_epoch(contents, part, name)
    kept = "" if best is None else f" The weights of epoch {best} were kept."
    return (
        f"{title(contents, part, name)}: curves to epoch {int(last['epoch'])}. At the end training loss "
        f"{formats.score(last['train_loss'])}, validation loss {formats.score(last['validation_loss'])}, validation "
        f"AUC {formats.score(last['auc'])}, kappa {formats.score(last['kappa'])}.{kept}"
    )


def _draw_panel(axes: Axes, history: pd.DataFrame, lines: Mapping[str, Line], limits: Limits) -> None:
    marker = "o" if len(history) < 15 else ""
    for column, (label, colour, dashes) in lines.items():
        axes.plot(
            history["epoch"],
            history[column],
            color=colour,
            linestyle=dashes,
            linewidth=1.4,
            marker=marker,
            markersize=3,
            label=label,
        )
    axes.set_ylim(*limits)
    axes.legend(loc="best", ncols=2, handlelength=2.4, columnspacing=1.2, borderaxespad=0.2)


def _limits(frames: Iterable[pd.DataFrame], *, least: float, most: float = 0.0) -> Limits:
    """Limits that hold every finite value, so that panels can be compared."""
    values = [value for frame in frames for value in frame.to_numpy(dtype=float).ravel() if math.isfinite(value)]
    low, high = min([least, *values]), max([most, *values])
    return low, high + 0.04 * ((high - low) or 1)
