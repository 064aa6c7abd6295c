"""Opened studies in batches for the nets, each of whole studies of one group; and the answers, study by study again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

S = TypeVar("S")
A = TypeVar("A", bound=npt.NDArray[Any])


@dataclass
class _Waiting(Generic[S]):
    """The studies of a group that wait, how many views they have and how many bytes they take."""

    studies: list[S] = field(default_factory=list)
    views: int = 0
    weight: int = 0


def in_batches(
    studies: Iterable[S],
    group_of: Callable[[S], str | None],
    *,
    views: Callable[[S], int],
    weight: Callable[[S], int],
    at_once: int,
    limit: int,
    may_overfill: bool = False,
) -> Iterator[tuple[str | None, list[S]]]:
    """Put studies of one group together until their views fill a pass through its net; a group and a batch at a time.

    Which studies are together depends on the studies alone, never on how fast a thread was. What waits is bounded:
    before all together would take more than `limit`, the batch that takes most is given away. A study with more views
    than fit into a pass, or more bytes than that, is a batch of its own.

    Args:
        studies: taken one by one.
        group_of: a study's group; one of group None waits for nobody.
        views: how many a study has that the net is shown.
        weight: bytes of memory that a study takes.
        at_once: views in one pass of a net.
        limit: bytes of studies that wait.
        may_overfill: whether the study that fills a batch may have more views than there is room for; such a batch is
            more than one pass.
    """
    waiting: dict[str, _Waiting[S]] = {}
    for study in studies:
        group = group_of(study)
        if group is None:
            yield None, [study]
            continue
        count, size = views(study), weight(study)
        if not may_overfill and group in waiting and waiting[group].views + count > at_once:
            yield group, waiting.pop(group).studies
        while waiting and sum(batch.weight for batch in waiting.values()) + size > limit:
            heaviest = max(waiting, key=lambda name: waiting[name].weight)
            yield heaviest, waiting.pop(heaviest).studies
        batch = waiting.setdefault(group, _Waiting())
        batch.studies.append(study)
        batch.views, batch.weight = batch.views + count, batch.weight + size
        if batch.views >= at_once:
            yield group, waiting.pop(group).studies
    for group in sorted(waiting):
        yield group, waiting[group].studies


def by_study(answers: A, counts: Sequence[int]) -> list[A]:
    """A net's answers [sum of counts, ..] about the views of several studies, those of each study for themselves."""
    return np.split(answers, np.cumsum(counts)[:-1])  # type: ignore[return-value]
