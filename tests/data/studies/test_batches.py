"""Which studies go through a net together: whole ones of one group, as many as fit, within a limit of what waits."""

import numpy as np
import pytest

from murace.data.studies.batches import by_study, in_batches

Study = tuple[str | None, int, int]  # group, views, weight


def batched(
    studies: list[Study], *, at_once: int = 4, limit: int = 10**9, **more: bool
) -> list[tuple[str | None, list[int]]]:
    """The batches, with the numbers of the studies in them."""
    batches = in_batches(
        enumerate(studies),
        lambda one: one[1][0],
        views=lambda one: one[1][1],
        weight=lambda one: one[1][2],
        at_once=at_once,
        limit=limit,
        **more,
    )
    return [(group, [number for number, _ in batch]) for group, batch in batches]


def test_studies_of_a_group_are_together_until_their_views_fill_a_pass() -> None:
    studies: list[Study] = [("a", 1, 1), ("b", 2, 1), ("a", 3, 1), ("b", 1, 1), ("a", 1, 1), ("b", 2, 1)]
    assert batched(studies) == [("a", [0, 2]), ("b", [1, 3]), ("a", [4]), ("b", [5])]


def test_a_study_with_more_views_than_a_pass_is_a_batch_of_its_own() -> None:
    assert batched([("a", 1, 1), ("a", 9, 1), ("a", 1, 1)]) == [("a", [0]), ("a", [1]), ("a", [2])]


def test_where_it_may_a_batch_is_filled_beyond_the_pass() -> None:
    studies: list[Study] = [("a", 3, 1), ("a", 3, 1), ("a", 9, 1), ("a", 1, 1)]
    assert batched(studies, may_overfill=True) == [("a", [0, 1]), ("a", [2]), ("a", [3])]


def test_without_a_group_a_study_waits_for_nobody() -> None:
    assert batched([("a", 1, 1), (None, 1, 1), ("a", 1, 1)]) == [(None, [1]), ("a", [0, 2])]


def test_what_waits_is_bounded_and_the_heaviest_goes_first() -> None:
    studies: list[Study] = [("a", 1, 30), ("b", 1, 40), ("c", 1, 20), ("b", 1, 30), ("a", 1, 500), ("c", 1, 1)]
    assert batched(studies, limit=100) == [
        ("b", [1]),  # 30 + 40 + 20 wait, and 30 more do not fit
        ("a", [0]),
        ("b", [3]),
        ("c", [2]),
        ("a", [4]),  # more than the limit: alone
        ("c", [5]),
    ]


@pytest.mark.parametrize("shape", [(6,), (6, 2, 3)])
def test_answers_are_cut_up_by_study(shape: tuple[int, ...]) -> None:
    answers = np.arange(np.prod(shape)).reshape(shape)
    parts = by_study(answers, [1, 3, 2])
    assert [len(part) for part in parts] == [1, 3, 2]
    assert np.array_equal(np.concatenate(parts), answers)
