"""Section summary: the main results in a few sentences."""

from collections.abc import Mapping

from murace.report.contents import Contents
from murace.report.sections import baselines, differences, support
from murace.report.text import formats
from murace.report.text.grid import Lines, by_columns, score_cell
from murace.vocabulary import BASELINE, CALIBRATED, OVERALL, RESNET_DENSENET, Level, Metric

HEADLINE = {Metric.AUC: "AUC", Metric.ACCURACY: "accuracy", Metric.KAPPA: "Cohen's kappa"}
Values = Mapping[tuple[str, ...], float]  # by group and metric


def headline(contents: Contents) -> list[tuple[str, str, str]]:
    """The calibrated ensemble's three numbers per study, overall, as (name, value, interval); that may be empty."""
    lines = _study_lines(contents, CALIBRATED)
    cells = {metric: score_cell(lines.get((OVERALL, metric), {})) for metric in HEADLINE}
    return [(formats.metric_name(metric), cell.text, cell.detail) for metric, cell in cells.items()]


def sentences(contents: Contents) -> list[str]:
    """The results in plain words: the calibrated ensemble, its spread over the groups, and the others beside it."""
    values = _study_values(contents, CALIBRATED)
    ours = formats.listing([f"{name} {_score(values, OVERALL, metric)}" for metric, name in HEADLINE.items()])
    told = [f"On the test split{support.size(contents)}, the calibrated ensemble reads studies with {ours}."]
    spread = _spread(contents, values)
    if spread:
        told.append(spread)
    more = (_others(contents), differences.sentence(contents))
    return [*filter(None, (baselines.sentence(contents), *told, *more))]


def roster(contents: Contents) -> str:
    """Which learner serves which groups, as a sentence."""
    served: dict[str, list[str]] = {}
    for group, choice in contents.roster["groups"].items():
        served.setdefault(choice["learner"], []).append(group)
    parts = [f"{formats.model_name(learner)} serves {formats.listing(groups)}" for learner, groups in served.items()]
    if len(contents.roster["groups"]) == 1:
        return f"There is one group here, and {parts[0]}."
    return f"{'; '.join(parts)}." if parts else ""


def _study_lines(contents: Contents, model: str) -> Lines:
    frame = contents.scores
    return by_columns(frame[(frame["level"] == Level.STUDY) & (frame["model"] == model)], "group", "metric")


def _study_values(contents: Contents, model: str) -> Values:
    return {key: float(line["value"]) for key, line in _study_lines(contents, model).items()}


def _score(values: Values, group: str, metric: str) -> str:
    value = values.get((group, metric), formats.NAN)
    return "undefined" if formats.is_missing(value) else formats.score(value)


def _spread(contents: Contents, values: Values) -> str:
    kappas = {
        group: value
        for (group, metric), value in values.items()
        if metric == Metric.KAPPA and group != OVERALL and not formats.is_missing(value)
    }
    if len(kappas) < 2:
        return ""
    low, high = min(kappas, key=kappas.__getitem__), max(kappas, key=kappas.__getitem__)
    lowest, highest = (_in_group(contents, group, kappas) for group in (low, high))
    return f"Over the groups its kappa runs from {lowest} to {highest}."


def _in_group(contents: Contents, group: str, kappas: Mapping[str, float]) -> str:
    number = contents.studies.get(group)
    size = f", {number:,} studies" if number else ""
    return f"{formats.score(kappas[group])} ({group}{size})"


def _others(contents: Contents) -> str:
    """The AUC of what the ensemble is measured against."""
    present = set(contents.scores["model"])
    rivals = [model for model in (BASELINE, RESNET_DENSENET) if model in present]
    parts = [
        f"{formats.model_name(model)} {_score(_study_values(contents, model), OVERALL, Metric.AUC)}" for model in rivals
    ]
    return f"For comparison, AUC of {formats.listing(parts)}." if parts else ""
