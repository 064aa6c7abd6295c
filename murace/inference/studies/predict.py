"""An ensemble's predictions for studies: each group's member is asked in batches of whole studies."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from murace.data.studies.batches import by_study, in_batches
from murace.data.studies.open import LIMIT, RequestedStudy, open_studies
from murace.inference.ensemble.interface import Ensemble
from murace.inference.studies.groups import GroupedStudy, assign_groups
from murace.metrics.temperature import apply_temperature
from murace.nets import Learner
from murace.nets.trained import Floats, probability
from murace.system.progress import Reporter

NOT_FINITE = "the net's answer is not a finite number"


@dataclass(frozen=True)
class StudyPrediction:
    """A study's prediction: the mean of its views' probabilities, raw and calibrated; None where there is a problem.

    `views` has a probability for each view that could be read, copies too, which do not count in the mean; `seconds` is
    the time spent on this study: reading its files, and its share of the nets' batches.
    """

    study: GroupedStudy
    learner: str | None
    probability: float | None
    calibrated: float | None
    views: tuple[float, ...]
    problem: str
    seconds: float


def predict_studies(
    requests: Sequence[RequestedStudy], ensemble: Ensemble, *, threads: int, reporter: Reporter
) -> Iterator[StudyPrediction]:
    """Predict every study; in about the order of the list, since the members of the groups take turns.

    Memory does not grow with their number: at most a batch a group waits.

    Raises:
        WorkspaceError: a part of the ensemble is missing, stale or damaged.
        Interrupted: a signal asked to stop.
    """
    members = {group: ensemble.member(group) for group in ensemble.groups}
    readout, any_member = ensemble.readout(), next(iter(members.values()))
    nets: dict[str, Learner] = {}
    with open_studies(requests, size=any_member.size, fit=any_member.fit, threads=threads, reporter=reporter) as opened:
        batches = in_batches(
            assign_groups(opened, ensemble.groups, ensemble.recogniser()),
            lambda study: None if study.problem else study.group,
            views=_num_views,
            weight=lambda study: study.opened.views.weight,
            at_once=any_member.views_at_once,
            limit=LIMIT,
            may_overfill=True,
        )
        for group, batch in batches:
            if group is None:
                yield from (_unanswered(study, study.problem) for study in batch)
                continue
            nets[group] = net = nets.get(group) or members[group].net()
            began = time.monotonic()
            prepared = np.concatenate([study.opened.views.prepared for study in batch])
            (log_odds,) = members[group].ask(partial(_log_odds, net), prepared)
            each = (time.monotonic() - began) / len(log_odds)
            temperature = readout.groups.get(group, readout.temperature)
            for study, part in zip(batch, by_study(log_odds, [_num_views(study) for study in batch]), strict=True):
                seconds = study.opened.seconds + study.seconds + each * len(part)
                yield _prediction(study, members[group].learner, part, temperature, seconds)


def _num_views(study: GroupedStudy) -> int:
    """How many could be read."""
    return len(study.opened.views.prepared)


def _unanswered(study: GroupedStudy, problem: str) -> StudyPrediction:
    return StudyPrediction(study, None, None, None, (), problem, study.opened.seconds + study.seconds)


def _prediction(
    study: GroupedStudy, learner: str, log_odds: Floats, temperature: float, seconds: float
) -> StudyPrediction:
    if not np.isfinite(log_odds).all():
        return _unanswered(study, NOT_FINITE)
    chances = probability(log_odds)
    mean = chances[study.opened.copies.counted].mean(keepdims=True)
    calibrated = apply_temperature(mean, temperature)
    views = tuple(map(float, chances))
    return StudyPrediction(study, learner, float(mean[0]), float(calibrated[0]), views, "", seconds)


@torch.no_grad()
def _log_odds(net: Learner, images: Tensor) -> tuple[Floats]:
    logits = net(images).double()
    return ((logits[:, 1] - logits[:, 0]).cpu().numpy(),)
