"""Which member reads a study: as its file says, as the command says, or as the recogniser sees it; or none."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from murace.data.studies.find import Found
from murace.errors import UsageError
from murace.inference.recogniser import Recognition, contradicts
from murace.inference.recogniser.recognise import Recogniser
from murace.inference.studies.opened import Opened, Wanted
from murace.nets import Learner
from murace.nets.trained import Bytes
from murace.vocabulary import closest

OPTION, RECOGNISED, ONLY = "--group", "recogniser", "only group"
UNGROUPED = "all"  # the one group of data without groups: whatever a picture shows belongs to it
UNREADABLE = "no view could be read"


@dataclass(frozen=True)
class Routed:
    """A study with its group, or with the reason why it has none; `warning` where the recogniser thinks otherwise.

    `confidence` is the recogniser's, in the group that the study is sent to; None where it was not asked.
    """

    opened: Opened
    group: str | None
    source: str
    confidence: float | None = None
    warning: str = ""
    problem: str = ""
    seconds: float = 0.0


def require_group(option: str | None, known: Sequence[str]) -> None:
    """Make sure that the group of the command line, if there is one, is one of this ensemble.

    Raises:
        UsageError: it is not.
    """
    if option is not None and option not in known:
        raise UsageError(f"--group: unknown group '{option}'{closest(option, known)}")


def wanted(found: Sequence[Found], known: Sequence[str], option: str | None) -> list[Wanted]:
    """The studies with the group that a tag, the path, or else `option`, the command line's, names."""
    return [Wanted(number, study, *_named(study, known, option)) for number, study in enumerate(found)]


def _named(study: Found, known: Sequence[str], option: str | None) -> tuple[str | None, str]:
    if study.fault:
        return None, ""
    if study.stated is not None and study.stated.name in known:
        return study.stated.name, study.stated.source
    if option is not None:
        return option, OPTION
    if tuple(known) == (UNGROUPED,) or (len(known) == 1 and study.stated is None):
        return known[0], ONLY
    return None, study.stated.source if study.stated else RECOGNISED


def route(opened: Iterable[Opened], known: Sequence[str], recogniser: Recogniser | None) -> Iterator[Routed]:
    """Give each study its group, the recogniser asked in batches: all views where nothing is known, else the first.

    Studies that cannot be read, or that are known to be of no group, come out too, with the problem.
    """
    desk = _Desk(recogniser, known) if recogniser else None
    for one in opened:
        if desk is None or _is_settled(one):
            yield _unasked(one, known)
        else:
            yield from desk.put(one)
    if desk is not None:
        yield from desk.clear()


def _is_settled(one: Opened) -> bool:
    """Whether there is nothing to ask: no picture, or a tag that names what no member reads."""
    return not len(one.prepared) or (one.wanted.group is None and one.wanted.found.stated is not None)


def _unasked(one: Opened, known: Sequence[str]) -> Routed:
    group, source, stated = one.wanted.group, one.wanted.source, one.wanted.found.stated
    if not len(one.prepared):
        return Routed(one, group, source if group else "", problem=one.wanted.found.fault or UNREADABLE)
    if group is None:
        named = f"its {source} says {stated.name}" if stated else "nothing names its group"
        return Routed(one, None, source, problem=f"{named}: this ensemble knows {', '.join(known)}")
    return Routed(one, group, source)


def _shown(one: Opened) -> Bytes:
    """What the recogniser is shown."""
    return one.prepared if one.wanted.group is None else one.prepared[:1]


class _Desk:
    """The recogniser with the studies that wait for it."""

    def __init__(self, recogniser: Recogniser, known: Sequence[str]) -> None:
        self.recogniser, self.known = recogniser, known
        self.net: Learner | None = None
        self.waiting: list[Opened] = []

    def put(self, one: Opened) -> Iterator[Routed]:
        """Take a study in; the groups of all that wait, once they fill a batch."""
        self.waiting.append(one)
        if sum(len(_shown(waits)) for waits in self.waiting) >= self.recogniser.member.views_at_once:
            yield from self.clear()

    def clear(self) -> Iterator[Routed]:
        """The groups of all that wait."""
        batch, self.waiting = self.waiting, []
        if not batch:
            return
        self.net = self.net or self.recogniser.member.net()
        began, shown = time.monotonic(), [_shown(one) for one in batch]
        features = self.recogniser.features(self.net, np.concatenate(shown))
        each = (time.monotonic() - began) / len(features)
        ends = np.cumsum([len(views) for views in shown])[:-1]
        for one, part in zip(batch, np.split(features, ends), strict=True):
            yield _recognised(one, self.recogniser.recognise(part), each * len(part), self.known)


def _doubt(seen: Recognition, group: str) -> str:
    """What speaks against the group that a study is said to be of; empty where nothing does."""
    if contradicts(seen, group):
        return f"looks like {seen.likeliest} ({seen.confidence:.2f}), not {group}"
    return "" if seen.is_typical else f"does not look like {group}, nor like any other group of this ensemble"


def _recognised(one: Opened, seen: Recognition, seconds: float, known: Sequence[str]) -> Routed:
    group = one.wanted.group
    if group is not None:
        return Routed(one, group, one.wanted.source, seen.shares[group], _doubt(seen, group), seconds=seconds)
    if seen.group is None:
        problem = f"looks like none of the groups this ensemble knows ({', '.join(known)}); name it with --group"
        return Routed(one, None, RECOGNISED, seen.confidence, problem=problem, seconds=seconds)
    return Routed(one, seen.group, RECOGNISED, seen.confidence, seconds=seconds)
