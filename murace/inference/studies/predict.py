"""A panel's answers about studies, one after the other: each group's member is asked in batches of whole studies."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from murace.inference.ensemble import Ensemble
from murace.inference.readout import Readout
from murace.inference.studies.opened import RequestedStudy, open_studies
from murace.inference.studies.route import GroupedStudy, route
from murace.metrics.temperature import apply_temperature
from murace.nets import Learner
from murace.nets.trained import Floats, TrainedNet, probability
from murace.system.progress import Reporter

NOT_FINITE = "the net's answer is not a finite number"


@dataclass(frozen=True)
class StudyPrediction:
    """A study's answer: the mean of its views' probabilities, raw and calibrated; None where there is a problem.

    `views` has a probability for each view that could be read; `seconds` is the time spent on this study: reading its
    files, and its share of the nets' batches.
    """

    study: GroupedStudy
    learner: str | None
    probability: float | None
    calibrated: float | None
    views: tuple[float, ...]
    problem: str
    seconds: float


def predict_studies(
    wanted: Sequence[RequestedStudy], ensemble: Ensemble, *, threads: int, reporter: Reporter
) -> Iterator[StudyPrediction]:
    """Answer every study; in about the order of the list, since the members of the groups take turns.

    Memory does not grow with their number: at most a batch a group waits.

    Raises:
        WorkspaceError: a part of the panel is missing, stale or damaged.
        Interrupted: a signal asked to stop.
    """
    members = {group: ensemble.member(group) for group in ensemble.groups}
    readout, any_member = ensemble.readout(), next(iter(members.values()))
    desks = {group: _Desk(member, readout, group) for group, member in members.items()}
    with open_studies(wanted, size=any_member.size, fit=any_member.fit, threads=threads, reporter=reporter) as opened:
        for routed in route(opened, ensemble.groups, ensemble.recogniser()):
            if routed.problem or routed.group is None:
                yield _unanswered(routed, routed.problem)
                continue
            yield from desks[routed.group].put(routed)
    for desk in desks.values():
        yield from desk.clear()


def _unanswered(routed: GroupedStudy, problem: str) -> StudyPrediction:
    return StudyPrediction(routed, None, None, None, (), problem, routed.opened.seconds + routed.seconds)


class _Desk:
    """A member with the studies that wait for it."""

    def __init__(self, member: TrainedNet, readout: Readout, group: str) -> None:
        self.member, self.temperature = member, readout.groups.get(group, readout.temperature)
        self.net: Learner | None = None
        self.waiting: list[GroupedStudy] = []

    def put(self, routed: GroupedStudy) -> Iterator[StudyPrediction]:
        """Take a study in; the answers to all that wait, once they fill a batch."""
        self.waiting.append(routed)
        if sum(len(one.opened.prepared) for one in self.waiting) >= self.member.views_at_once:
            yield from self.clear()

    def clear(self) -> Iterator[StudyPrediction]:
        """The answers to all that wait."""
        batch, self.waiting = self.waiting, []
        if not batch:
            return
        self.net = self.net or self.member.net()
        began = time.monotonic()
        (log_odds,) = self.member.ask(
            partial(_log_odds, self.net), np.concatenate([one.opened.prepared for one in batch])
        )
        each = (time.monotonic() - began) / len(log_odds)
        ends = np.cumsum([len(one.opened.prepared) for one in batch])[:-1]
        for one, part in zip(batch, np.split(log_odds, ends), strict=True):
            yield self._answer(one, part, one.opened.seconds + one.seconds + each * len(part))

    def _answer(self, routed: GroupedStudy, log_odds: Floats, seconds: float) -> StudyPrediction:
        if not np.isfinite(log_odds).all():
            return _unanswered(routed, NOT_FINITE)
        chances = probability(log_odds)
        mean = chances.mean(keepdims=True)
        calibrated = apply_temperature(mean, self.temperature)
        views = tuple(map(float, chances))
        return StudyPrediction(routed, self.member.learner, float(mean[0]), float(calibrated[0]), views, "", seconds)


@torch.no_grad()
def _log_odds(net: Learner, images: Tensor) -> tuple[Floats]:
    logits = net(images).double()
    return ((logits[:, 1] - logits[:, 0]).cpu().numpy(),)
