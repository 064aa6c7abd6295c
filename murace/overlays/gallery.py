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
import torch

from murace.background import Ahead, Behind
from murace.cam import Floats, Maps, activation_maps, layout
from murace.checkpoint import load_model
from murace.data.header import ImageError
from murace.data.studies import Study
from murace.data.views import Bytes, Views, read_views
from murace.nets import Learner
from murace.overlays.folder import Answer, Member, draw, drawn_before
from murace.watch import Bar, Watch

AT_ONCE = {"cpu": 32, "cuda": 128}  # views at 256 pixels; fewer where they are larger, since memory follows
REFERENCE = 256 * 256
WEIGHT = 256 * 2**20  # bytes of radiographs read ahead; as many in a batch, and as many again waiting to be drawn
MOST_THREADS = 8  # of each kind: a radiograph of 6 megapixels takes 200 MB while it is drawn


@dataclass(frozen=True)
class Opened:
    """What reading a study came to: its views, the record of an earlier drawing, or why its files are no good."""

    number: int
    study: Study
    outcome: Views | dict[str, Any] | ImageError

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        return self.outcome.weight if isinstance(self.outcome, Views) else 0


@dataclass
class Drawn:
    """By the number of the study: its record, which records were there before, or why its files are no good."""

    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    before: set[int] = field(default_factory=set)
    bad: dict[int, ImageError] = field(default_factory=dict)


def draw_all(
    studies: Sequence[Study], members: Mapping[str, Member], *, force: bool, threads: int, watch: Watch
) -> Drawn:
    """Draw every study that its group's member has not drawn before, or with `force` every one.

    Raises:
        Interrupted: the watch says so. What is being drawn is finished, the rest is not begun.
        MachineError: the disk is full or a folder cannot be written to.
    """
    count = min(threads, MOST_THREADS)
    numbered = sorted(enumerate(studies), key=lambda pair: pair[1].group)
    read = partial(_open, members=members, force=force)
    with (
        watch.bar("studies", len(studies)) as bar,
        Ahead(read, numbered, weigh=lambda opened: opened.weight, limit=WEIGHT, threads=count) as ahead,
        Behind[tuple[int, dict[str, Any]]](limit=WEIGHT, threads=count, watch=watch) as behind,
    ):
        drawn = Drawn()
        for group, opened in groupby(_usable(ahead.results(watch), drawn, bar), key=lambda one: one.study.group):
            for number, record in _draw_group(opened, members[group], behind):
                drawn.records[number] = record
                bar.advance(note=group)
        for number, record in behind.rest():
            drawn.records[number] = record
            bar.advance(note=studies[number].group)
    return drawn


def _open(numbered: tuple[int, Study], *, members: Mapping[str, Member], force: bool) -> Opened:
    number, study = numbered
    member = members[study.group]
    try:
        before = None if force else drawn_before(study, member)
        return Opened(number, study, before or read_views(study.views, size=member.size, fit=member.fit))
    except ImageError as error:
        return Opened(number, study, error)


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


def _draw_group(
    opened: Iterable[Opened], member: Member, behind: Behind[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Hand the studies of one group over to be drawn; yields the numbers and records of those that are finished."""
    net = load_model(member.weights)
    member.place.put(net)
    net.to(memory_format=layout(member.place))
    for batch in _batches(opened, views_at_once(member)):
        for one, answer in zip(batch, _ask(net, member, batch), strict=True):
            yield from behind.put(partial(_draw, one, answer, member), weight=one.weight)


def _draw(one: Opened, answer: Answer, member: Member) -> tuple[int, dict[str, Any]]:
    assert isinstance(one.outcome, Views)
    return one.number, draw(one.study, one.outcome, answer, member)


def views_at_once(member: Member) -> int:
    """How many views go through a member's net in one pass."""
    return max(1, AT_ONCE[member.place.device.type] * REFERENCE // max(REFERENCE, member.size**2))


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


def _ask(net: Learner, member: Member, batch: Sequence[Opened]) -> list[Answer]:
    """The answers about each study of a batch."""
    prepared = np.concatenate([one.outcome.prepared for one in batch if isinstance(one.outcome, Views)])
    at_once = views_at_once(member)
    parts = [_pass(net, member, prepared[first : first + at_once]) for first in range(0, len(prepared), at_once)]
    maps, log_odds = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    ends = np.cumsum([len(one.study.views) for one in batch])[:-1]
    return [Answer(*pair) for pair in zip(np.split(maps, ends), np.split(log_odds, ends), strict=True)]


def _pass(net: Learner, member: Member, prepared: Bytes) -> tuple[Maps, Floats]:
    """One forward pass; where a GPU has too little memory, two of half the size."""
    place = member.place
    try:
        images = torch.from_numpy(prepared).to(place.device).float().div(255)[:, None]
        with place.autocast():
            return activation_maps(net, images.contiguous(memory_format=layout(place)))
    except torch.cuda.OutOfMemoryError:
        if len(prepared) == 1:
            raise
    torch.cuda.empty_cache()
    middle = len(prepared) // 2
    halves = (_pass(net, member, half) for half in (prepared[:middle], prepared[middle:]))
    maps, log_odds = (np.concatenate(arrays) for arrays in zip(*halves, strict=True))
    return maps, log_odds
