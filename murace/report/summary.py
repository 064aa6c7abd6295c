"""The paragraph for whoever reads nothing else, and the limits that stand with it."""

from collections.abc import Mapping

from murace.report import formats, results
from murace.report.contents import Contents
from murace.vocabulary import BASELINE, CALIBRATED, OVERALL, RESNET_DENSENET, Level, Metric

HEADLINE = {Metric.AUC: "AUC", Metric.ACCURACY: "accuracy", Metric.KAPPA: "Cohen's kappa"}
Values = Mapping[tuple[str, str], float]


def headline(contents: Contents) -> list[tuple[str, str]]:
    """The calibrated ensemble's three numbers per study, overall, as (name, value)."""
    values = _study_values(contents, CALIBRATED)
    names = {**HEADLINE, Metric.AUC: "AUC", Metric.ACCURACY: "Accuracy"}
    return [(names[metric], formats.score(values.get((OVERALL, metric), formats.NAN))) for metric in HEADLINE]


def sentences(contents: Contents) -> list[str]:
    """The results in plain words: the calibrated ensemble, its spread over the groups, and the others beside it."""
    values = _study_values(contents, CALIBRATED)
    ours = formats.listing([f"{name} {_score(values, OVERALL, metric)}" for metric, name in HEADLINE.items()])
    told = [f"On the test split{_size(contents)}, the calibrated ensemble reads studies with {ours}."]
    spread = _spread(contents, values)
    if spread:
        told.append(spread)
    others = _others(contents)
    if others:
        told.append(others)
    return told


def roster(contents: Contents) -> str:
    """Which learner serves which groups, as a sentence."""
    served: dict[str, list[str]] = {}
    for group, choice in contents.roster["groups"].items():
        served.setdefault(choice["learner"], []).append(group)
    parts = [f"{formats.model_name(learner)} serves {formats.listing(groups)}" for learner, groups in served.items()]
    if len(contents.roster["groups"]) == 1:
        return f"There is one group here, and {parts[0]}."
    return f"{'; '.join(parts)}." if parts else ""


def limits(contents: Contents) -> list[str]:
    """What the numbers do not say."""
    told = [
        "One training run with one seed: another would give somewhat different numbers, and possibly other learners.",
        "Labels belong to studies. Every image carries its study's label, also where it does not show the finding.",
        "Nothing here compares a model with radiologists: no reader read these images for this report.",
        "Probabilities are raw network outputs; a 0.9 here need not mean that nine in ten are abnormal.",
    ]
    if not contents.scores[["low", "high"]].notna().all(axis=1).any():
        told.insert(
            0,
            "No confidence intervals are given: small differences, above all within a group, may be chance.",
        )
    if contents.maps:
        told.append(
            "An activation map is as coarse as the network's last feature map; it shows what moved the decision, "
            "and does not delimit a finding."
        )
    return told


def _study_values(contents: Contents, model: str) -> Values:
    frame = contents.scores
    part = frame[(frame["level"] == Level.STUDY) & (frame["model"] == model)]
    keys = zip(part["group"], part["metric"], strict=True)
    return dict(zip(keys, part["value"].astype(float), strict=True))


def _score(values: Values, group: str, metric: str) -> str:
    value = values.get((group, metric), formats.NAN)
    return "undefined" if formats.is_missing(value) else formats.score(value)


def _size(contents: Contents) -> str:
    images = results.images(contents).get(OVERALL)
    studies = results.studies(contents).get(OVERALL)
    parts = [f"{studies:,} studies" if studies else "", f"{images:,} images" if images else ""]
    known = [part for part in parts if part]
    return f" ({', '.join(known)})" if known else ""


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
    number = results.studies(contents).get(group)
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
