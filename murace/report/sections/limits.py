"""Section limits: what the evaluation does not show."""

from murace.report.contents import Contents
from murace.report.sections import support


def limits(contents: Contents) -> list[str]:
    """The limits of this evaluation, one sentence or two each."""
    return [
        _sampling(contents),
        "One training run with one seed: another would give somewhat different numbers, and possibly other learners.",
        "Labels belong to studies. Every image carries its study's label, also where it does not show the finding; "
        "and a label is a reading, which another reader may not share. No score can be better than its labels.",
        "Public radiograph collections such as MURA come from few hospitals, say little about patients and devices, "
        "and hold some doubtful labels, burnt-in marks and near-duplicates. A network can learn such marks instead "
        "of findings; results elsewhere will differ.",
        "Nothing here compares a model with radiologists: no reader read these images for this report.",
        _probabilities(contents),
        *_more(contents),
    ]


def _sampling(contents: Contents) -> str:
    if not support.has_intervals(contents.scores):
        return "No confidence intervals are given: small differences, above all within a group, may be chance."
    return (
        "The intervals cover the drawing of test patients only. They do not cover the chance in training (seed, order "
        "of images, hardware), the choice of learners, or a change of hospital. They are somewhat too short where "
        "patients are few (under about 200), and for shares near 0 or 1 in small classes."
    )


def _probabilities(contents: Contents) -> str:
    if contents.calibration.empty:
        return "Probabilities are raw network outputs; a 0.9 here need not mean that nine in ten are abnormal."
    return (
        "Scores, curves and decisions here use raw network outputs unless a caption says otherwise. After temperature "
        "scaling the probabilities are meant to be nearer to frequencies (Table S5 shows whether they are), and only "
        "for data like these: where another share of studies is abnormal, they are off again."
    )


def _more(contents: Contents) -> list[str]:
    told = []
    if not contents.comparisons.empty or not contents.slices.empty:
        told.append(
            "Many groups, metrics and slices are shown. The p-values of groups are adjusted for their number, nothing "
            "is adjusted for the number of metrics, models and slices: single surprises are to be expected."
        )
    if contents.maps or contents.errors:
        told.append(
            "An activation map is as coarse as the network's last feature map; it shows what moved the decision, "
            "and does not delimit a finding."
        )
    if contents.errors:
        told.append("The wrong decisions shown are the most confident ones, picked for that: they are not typical.")
    return told
