"""Which learner serves which group: the paper's rule ("Calibrated ensemble model"), every tie settled in the open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from murace.errors import DataError
from murace.vocabulary import METRIC_ALIASES, OVERALL

DIGITS = 12  # equal to this many digits is equal


@dataclass(frozen=True)
class Choice:
    """One group's learner; `tie` says that votes alone did not decide, `shared` which metrics had a shared top."""

    learner: str
    votes: Mapping[str, int]
    shared: tuple[str, ...]
    tie: bool


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
    overall = _mean_ranks(_grid(scores, OVERALL, names))
    groups = sorted(set(scores["group"]) - {OVERALL})
    return {group: _choose_one(_grid(scores, group, names), overall) for group in groups}


def _grid(scores: pd.DataFrame, group: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Learners x metrics of one group, rounded so that equal means equal."""
    part = scores[scores["group"] == group]
    grid = part.pivot(index="learner", columns="metric", values="value").reindex(columns=list(metrics))
    return grid.reindex(sorted(set(scores["learner"]))).astype("float64").round(DIGITS)


def _choose_one(grid: pd.DataFrame, overall: Mapping[str, float]) -> Choice:
    at_top = grid.eq(grid.max(axis=0), axis=1)
    votes = {learner: int(at_top.loc[learner].sum()) for learner in grid.index}
    shared = tuple(metric for metric in grid.columns if at_top[metric].sum() > 1)
    most = max(votes.values())
    leaders = [learner for learner, count in votes.items() if count == most]
    if len(leaders) == 1 and 2 * most > len(grid.columns):
        return Choice(leaders[0], votes, shared, tie=False)
    ranks = _mean_ranks(grid)
    first = min(grid.index, key=lambda learner: (ranks[learner], overall[learner], learner))
    return Choice(first, votes, shared, tie=True)


def _mean_ranks(grid: pd.DataFrame) -> dict[str, float]:
    """Each learner's mean rank (1 is best) over the metrics with any score; 0 for all where there is none."""
    defined = grid.dropna(axis=1, how="all")
    if defined.columns.empty:
        return dict.fromkeys(grid.index, 0.0)
    ranks = defined.rank(axis=0, ascending=False, method="average", na_option="bottom").mean(axis=1)
    return {str(learner): float(rank) for learner, rank in ranks.items()}
