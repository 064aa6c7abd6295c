import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from murace.errors import DataError
from murace.metrics.selection import choose
from murace.report.sections.paper import paper_table

METRICS = ["auc", "accuracy", "kappa"]


def frame(cells: dict[tuple[str, str], tuple[float, ...]], metrics: list[str] = METRICS) -> pd.DataFrame:
    rows = [
        (learner, group, metric, value)
        for (learner, group), values in cells.items()
        for metric, value in zip(metrics, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["learner", "group", "metric", "value"])


OVERALL = {("r", "overall"): (0.9, 0.9, 0.9), ("d", "overall"): (0.8, 0.8, 0.8), ("c", "overall"): (0.1, 0.1, 0.1)}


def test_table_5_gives_the_papers_roster() -> None:
    roster = choose(paper_table(5), ["auc", "acc", "kappa"])
    chosen = {group: choice.learner for group, choice in roster.items()}
    assert chosen == {
        "elbow": "densenet",
        "forearm": "densenet",
        **dict.fromkeys(["finger", "hand", "humerus", "shoulder", "wrist"], "resnet"),
    }
    assert roster["hand"].shared == ("accuracy",)  # .82 / .82: both get the vote
    assert dict(roster["hand"].votes) == {"convnet": 0, "densenet": 1, "resnet": 3}
    assert not any(choice.tie for choice in roster.values())


def test_two_of_three_is_enough() -> None:
    scores = frame({**OVERALL, ("r", "g"): (0.5, 0.9, 0.9), ("d", "g"): (0.9, 0.5, 0.5), ("c", "g"): (0.1, 0.1, 0.1)})
    assert choose(scores, METRICS)["g"].learner == "r"
    assert not choose(scores, METRICS)["g"].tie


def test_one_vote_each_goes_to_the_best_mean_rank() -> None:
    scores = frame({**OVERALL, ("r", "g"): (0.9, 0.2, 0.2), ("d", "g"): (0.8, 0.9, 0.3), ("c", "g"): (0.1, 0.1, 0.9)})
    choice = choose(scores, METRICS)["g"]
    assert choice.tie
    assert choice.learner == "d"  # ranks: r 1,2,3; d 2,1,2; c 3,3,1


def test_equal_in_the_group_goes_to_the_best_overall_then_the_alphabet() -> None:
    same = (0.7, 0.7, 0.7)
    cells = {("r", "g"): same, ("d", "g"): same, ("c", "g"): same}
    assert choose(frame({**OVERALL, **cells}), METRICS)["g"].learner == "r"
    level = {(name, "overall"): same for name in "rdc"}
    choice = choose(frame({**level, **cells}), METRICS)["g"]
    assert choice.learner == "c"
    assert choice.tie
    assert choice.shared == tuple(METRICS)


def test_half_of_the_metrics_is_not_more_than_half() -> None:
    metrics = ["auc", "accuracy", "kappa", "recall"]
    wide = {(n, g): (*v, v[0]) for (n, g), v in OVERALL.items()}
    cells = {("r", "g"): (0.9, 0.9, 0.1, 0.1), ("d", "g"): (0.8, 0.8, 0.9, 0.2), ("c", "g"): (0.1, 0.1, 0.1, 0.9)}
    choice = choose(frame({**wide, **cells}, metrics), metrics)["g"]
    assert choice.votes["r"] == 2
    assert choice.tie
    assert choice.learner == "d"


def test_undefined_scores_cast_no_vote() -> None:
    nan = math.nan
    cells = {("r", "g"): (nan, nan, nan), ("d", "g"): (nan, nan, nan), ("c", "g"): (nan, nan, nan)}
    choice = choose(frame({**OVERALL, **cells}), METRICS)["g"]
    assert sum(choice.votes.values()) == 0
    assert choice.learner == "r"  # the best overall
    one = {("r", "g"): (nan, 0.1, 0.1), ("d", "g"): (nan, 0.9, 0.9), ("c", "g"): (nan, 0.2, 0.2)}
    assert choose(frame({**OVERALL, **one}), METRICS)["g"].learner == "d"


def test_a_metric_without_scores_is_refused() -> None:
    with pytest.raises(DataError, match="recall"):
        choose(frame(OVERALL), ["auc", "recall"])


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=3, max_size=3), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_rows(values: list[list[int]], random: object) -> None:
    cells = {(name, "g"): tuple(float(v) for v in row) for name, row in zip("rdc", values, strict=True)}
    scores = frame({**OVERALL, **cells})
    order = list(range(len(scores)))
    random.shuffle(order)  # type: ignore[attr-defined]
    first, second = choose(scores, METRICS)["g"], choose(scores.iloc[order], METRICS)["g"]
    assert first == second
    if first.learner not in [name for name in "rdc" if first.votes[name] == max(first.votes.values())]:
        assert first.tie
