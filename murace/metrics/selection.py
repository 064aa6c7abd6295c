"""Choose a learner for each group by validation scores: the paper's rule, section "Calibrated ensemble model"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.errors import DataError
from murace.vocabulary import METRIC_ALIASES, OVERALL

DIGITS = 12  # equal to this many digits is equal
NEAR_TIE = 0.6  # a choice that fewer resamples repeat
ScoreArray = npt.NDArray[np.float64]  # [R, L, K]: R resamples, L learners in the alphabet's order, K metrics


@dataclass(frozen=True)
class Choice:
    """A group's learner; `tie`: the votes alone did not decide; `shared`: the metrics that several learners top."""

    learner: str
    votes: Mapping[str, int]
    shared: tuple[str, ...]
    tie: bool


@dataclass(frozen=True, eq=False)
class Choices:
    """The choice in R resamples: the learner's index [R], votes [R, L], metrics with a shared top [R, K], ties [R]."""

    chosen: npt.NDArray[np.intp]
    votes: npt.NDArray[np.int64]
    shared: npt.NDArray[np.bool_]
    tie: npt.NDArray[np.bool_]


def choose(scores: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Choice]:
    """Designate a learner for every group.

    A learner at the top of a metric, alone or shared, gets its vote. Chosen is who has strictly most votes and more
    than half of the metrics; else the best mean rank in the group, then the best mean rank overall, then the alphabet.
    An undefined score (NaN) casts no vote.

    Args:
        scores: columns learner, group, metric, value, for one level; may hold `overall` rows.
        metrics: the metrics that vote; `acc` is accuracy.

    Raises:
        DataError: no metric was named, or one has no row.
    """
    names = [str(METRIC_ALIASES.get(name, name)) for name in metrics]
    missing = sorted(set(names) - set(scores["metric"].astype(str)))
    if missing or not names:
        raise DataError(f"no validation scores for {', '.join(missing) or 'any metric'}; run: murace calibrate")
    learners = sorted(set(scores["learner"]))
    overall = _score_array(scores, OVERALL, learners, names)
    found = {}
    for group in sorted(set(scores["group"]) - {OVERALL}):
        choice = apply_rule(_score_array(scores, group, learners, names), overall)
        votes = dict(zip(learners, choice.votes[0].tolist(), strict=True))
        shared = tuple(name for name, is_shared in zip(names, choice.shared[0], strict=True) if is_shared)
        found[group] = Choice(learners[choice.chosen[0]], votes, shared, tie=bool(choice.tie[0]))
    return found


def apply_rule(scores: ScoreArray, overall: ScoreArray) -> Choices:
    """Apply the rule of `choose` to a group's scores in R resamples; the scores over all groups settle ties."""
    scores, overall = scores.round(DIGITS), overall.round(DIGITS)
    top = np.where(np.isnan(scores), -np.inf, scores).max(axis=1, keepdims=True)
    at_top = scores == top
    votes = at_top.sum(axis=2)
    most = votes.max(axis=1)
    is_clear = ((votes == most[:, None]).sum(axis=1) == 1) & (2 * most > scores.shape[2])
    # The last key of lexsort is the first to be looked at; learners are in the alphabet's order already.
    ranked = np.lexsort((_mean_ranks(overall), _mean_ranks(scores)), axis=1)[:, 0]
    chosen = np.where(is_clear, votes.argmax(axis=1), ranked)
    return Choices(chosen, votes, at_top.sum(axis=1) > 1, ~is_clear)


def stability(scores: ScoreArray, overall: ScoreArray, learners: Sequence[str]) -> dict[str, float]:
    """The share of R resamples in which the rule designates each learner; empty where nothing was resampled.

    Args:
        scores: one group's scores in every resample, [R, L, K].
        overall: the scores over all groups, [R, L, K].
        learners: their names, in the alphabet's order.
    """
    if not len(scores):
        return {}
    found = np.bincount(apply_rule(scores, overall).chosen, minlength=len(learners)) / len(scores)
    return dict(zip(learners, found.tolist(), strict=True))


def _score_array(scores: pd.DataFrame, group: str, learners: Sequence[str], metrics: Sequence[str]) -> ScoreArray:
    """Learners x metrics of one group, [1, L, K]."""
    part = scores[scores["group"] == group]
    grid = part.pivot(index="learner", columns="metric", values="value").reindex(
        index=list(learners), columns=list(metrics)
    )
    return grid.to_numpy(dtype=np.float64)[None]


def _mean_ranks(scores: ScoreArray) -> npt.NDArray[np.float64]:
    """Each learner's mean rank [R, L] (1 is best, equals share theirs) over the metrics with any score; 0 without."""
    values = np.where(np.isnan(scores), -np.inf, scores)
    better = (values[:, None] > values[:, :, None]).sum(axis=2)
    equal = (values[:, None] == values[:, :, None]).sum(axis=2)
    ranks = better + (equal + 1) / 2
    counted = ~np.isnan(scores).all(axis=1, keepdims=True)
    total = counted.sum(axis=2)
    summed = (ranks * counted).sum(axis=2)
    return np.asarray(np.divide(summed, total, out=np.zeros(ranks.shape[:2]), where=total > 0))
