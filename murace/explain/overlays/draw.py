"""Many studies: threads read them ahead, the nets are asked in batches, and threads behind draw and write.

Studies go through by group, so that one net is in memory at a time. A batch holds whole studies of one group; which
ones depends on the studies alone, never on how fast a thread was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from murace.data.images.header import ImageError
from murace.data.images.views import Views, read_views
from murace.explain.cam import DEFAULT_MAP_METHOD, Bytes, MapMethod, larger, look
from murace.explain.overlays.folder import StudyMaps, draw, drawn_before
from murace.explain.overlays.folders import Study
from murace.nets import Learner
from murace.nets.trained import TrainedNet
from murace.system.progress import Bar, Reporter
from murace.system.threads import ReadAhead, WriteBehind

WEIGHT = 256 * 2**20  # bytes of radiographs read ahead; as many in a batch, and as many again waiting to be drawn
NO_NUMBER = "the model's answer is not a finite number: its weights are damaged; run its finetune again with --fresh"
MOST_THREADS = 8  # of each kind: a radiograph of 6 megapixels takes 200 MB while it is drawn


@dataclass(frozen=True)
class Opened:
    """What reading a study came to: its views, the record of an earlier drawing, or why its files are no good."""

    number: int
    study: Study
    outcome: Views | dict[str, Any] | ImageError
    larger: Mapping[int, Bytes] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        own = self.outcome.weight if isinstance(self.outcome, Views) else 0
        return own + sum(pictures.nbytes for pictures in self.larger.values())


@dataclass
class Drawn:
    """By the number of the study: its record, which records were there before, or why its files are no good."""

    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    before: set[int] = field(default_factory=set)
    bad: dict[int, ImageError] = field(default_factory=dict)


def draw_all(
    studies: Sequence[Study],
    members: Mapping[str, TrainedNet],
    *,
    map_method: MapMethod = DEFAULT_MAP_METHOD,
    force: bool,
    threads: int,
    reporter: Reporter,
) -> Drawn:
    """Draw every study that its group's member has not drawn before in this way, or with `force` every one.

    A study about which a net's answer is not a finite number is among the bad.

    Raises:
        Interrupted: a signal asked to stop. What is being drawn is finished, the rest is not begun.
        MachineError: the disk is full or a folder cannot be written to.
    """
    count = min(threads, MOST_THREADS)
    numbered = sorted(enumerate(studies), key=lambda pair: pair[1].group)
    read = partial(_open, members=members, map_method=map_method, force=force)
    with (
        reporter.bar("studies", len(studies)) as bar,
        ReadAhead(read, numbered, weigh=lambda opened: opened.weight, limit=WEIGHT, threads=count) as ahead,
        WriteBehind[tuple[int, dict[str, Any]]](limit=WEIGHT, threads=count, reporter=reporter) as behind,
    ):
        drawn = Drawn()
        for group, opened in groupby(_usable(ahead.results(reporter), drawn, bar), key=lambda one: one.study.group):
            for number, record in _draw_group(_Asked(members[group], map_method, drawn, bar), opened, behind):
                drawn.records[number] = record
                bar.advance(note=group)
        for number, record in behind.rest():
            drawn.records[number] = record
            bar.advance(note=studies[number].group)
    return drawn


def _open(
    numbered: tuple[int, Study], *, members: Mapping[str, TrainedNet], map_method: MapMethod, force: bool
) -> Opened:
    number, study = numbered
    member = members[study.group]
    try:
        before = None if force else drawn_before(study, member, map_method)
        if before:
            return Opened(number, study, before)
        views = read_views(study.views, size=member.size, fit=member.fit)
    except ImageError as error:
        return Opened(number, study, error)
    return Opened(
        number, study, views, larger(views.originals, size=member.size, fit=member.fit, map_method=map_method)
    )


def _usable(opened: Iterable[Opened], drawn: Drawn, bar: Bar) -> Iterator[Opened]:
    """Those that are to be drawn; the others are noted."""
    for one in opened:
        if isinstance(one.outcome, Views):
            yield one
            continue
        if isinstance(one.outcome, ImageError):
            drawn.bad[one.number] = one.outcome
        else:
            drawn.records[one.number] = one.outcome
            drawn.before.add(one.number)
        bar.advance(note=one.study.group)


@dataclass(frozen=True)
class _Asked:
    """Who answers about a group's studies, how, and where it is noted that an answer is no good."""

    member: TrainedNet
    map_method: MapMethod
    drawn: Drawn
    bar: Bar


def _draw_group(
    asked: _Asked, opened: Iterable[Opened], behind: WriteBehind[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Hand the studies of one group over to be drawn; yields the numbers and records of those that are finished."""
    member = asked.member
    net = member.net()
    for batch in _batches(opened, member.views_at_once):
        for one, answer in zip(batch, _ask(net, asked, batch), strict=True):
            if np.isfinite(answer.log_odds).all():
                yield from behind.put(partial(_draw, one, answer, member), weight=one.weight)
                continue
            asked.drawn.bad[one.number] = ImageError(f"{one.study.views[0].parent}: {NO_NUMBER}")
            asked.bar.advance(note=one.study.group)


def _draw(one: Opened, answer: StudyMaps, member: TrainedNet) -> tuple[int, dict[str, Any]]:
    assert isinstance(one.outcome, Views)
    return one.number, draw(one.study, one.outcome, answer, member)


def _batches(opened: Iterable[Opened], at_once: int) -> Iterator[list[Opened]]:
    """Studies whose views go through the net together; a study with more views than that is a batch of its own."""
    batch: list[Opened] = []
    views = weight = 0
    for one in opened:
        count = len(one.study.views)
        if batch and (views + count > at_once or weight + one.weight > WEIGHT):
            yield batch
            batch, views, weight = [], 0, 0
        batch.append(one)
        views, weight = views + count, weight + one.weight
    if batch:
        yield batch


def _ask(net: Learner, asked: _Asked, batch: Sequence[Opened]) -> list[StudyMaps]:
    """The answers about each study of a batch."""
    prepared = np.concatenate([one.outcome.prepared for one in batch if isinstance(one.outcome, Views)])
    bigger = {
        scale: np.concatenate([one.larger[scale] for one in batch if one.larger])
        for scale in asked.map_method.scales[1:]
    }
    maps, log_odds = look(net, asked.member, prepared, larger=bigger, map_method=asked.map_method)
    ends = np.cumsum([len(one.study.views) for one in batch])[:-1]
    pairs = zip(np.split(maps, ends), np.split(log_odds, ends), strict=True)
    return [StudyMaps(*pair, asked.map_method) for pair in pairs]
