"""The group of a study, and so whose member answers: as its file says, as the command says, or as it looks; or none."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from murace.data.images.views import Bytes
from murace.data.studies.batches import by_study, in_batches
from murace.data.studies.find import StudyFiles
from murace.data.studies.open import LIMIT, OpenedStudy, RequestedStudy
from murace.errors import UsageError
from murace.inference.recogniser.model import Recognition, contradicts
from murace.inference.recogniser.recognise import Recogniser
from murace.nets import Learner
from murace.vocabulary import closest

MENDED = "name its group with --group, or use --each-file"
OPTION, RECOGNISED, ONLY = "--group", "recogniser", "only group"
UNGROUPED = "all"  # the one group of data without groups: whatever a picture shows belongs to it
UNREADABLE = "no view could be read"


@dataclass(frozen=True)
class GroupedStudy:
    """An opened study with its group, or with the reason why it has none.

    `warning` says that it looks like another group, or that a picture is not shown as its header says. `confidence` is
    the recogniser's, in that group; None where it was not asked. `seconds` is the time it took.
    """

    opened: OpenedStudy
    group: str | None
    source: str
    confidence: float | None = None
    warning: str = ""
    problem: str = ""
    seconds: float = 0.0

    @property
    def remarks(self) -> str:
        """Whatever is to be said about it: how its files were put together, copies among them, what it looks like."""
        files = self.opened.request.files
        decided = f"{files.contradiction}: --group says {self.group}" if files.contradiction and self.group else ""
        return "; ".join(filter(None, (files.warning, decided, self.opened.copies.remark, self.warning)))


def require_group(option: str | None, known: Sequence[str]) -> None:
    """Make sure that the group of the command line, if there is one, is one of this ensemble.

    Raises:
        UsageError: it is not.
    """
    if option is not None and option not in known:
        raise UsageError(f"--group: unknown group '{option}'{closest(option, known)}")


def requested(found: Sequence[StudyFiles], known: Sequence[str], option: str | None) -> list[RequestedStudy]:
    """The studies with the group that a tag, the path, or else `option`, the command line's, names."""
    return [RequestedStudy(number, study, *_named(study, known, option)) for number, study in enumerate(found)]


def _named(study: StudyFiles, known: Sequence[str], option: str | None) -> tuple[str | None, str]:
    if study.fault:
        return None, ""
    if study.contradiction and tuple(known) != (UNGROUPED,):
        return (option, OPTION) if option is not None else (None, "")
    if study.stated is not None and study.stated.name in known:
        return study.stated.name, study.stated.source
    if option is not None:
        return option, OPTION
    if tuple(known) == (UNGROUPED,) or (len(known) == 1 and study.stated is None):
        return known[0], ONLY
    return None, study.stated.source if study.stated else RECOGNISED


def assign_groups(
    opened: Iterable[OpenedStudy], known: Sequence[str], recogniser: Recogniser | None, *, limit: int = LIMIT
) -> Iterator[GroupedStudy]:
    """Give each study its group. The recogniser, asked in batches, is shown all views where nothing names the group.

    Of a study whose group is named it is shown one view: that is enough to notice that it looks like another. Studies
    that cannot be read, or that are said to be of a group that no member is for, come out too, with the problem.

    Args:
        opened: the studies.
        known: the groups of the ensemble.
        recogniser: None where there is one group.
        limit: bytes of studies that wait for it.
    """
    net: Learner | None = None
    batches = in_batches(
        opened,
        lambda one: None if recogniser is None or _needs_no_look(one) else "",
        views=lambda one: len(_shown(one)),
        weight=lambda one: one.views.weight,
        at_once=recogniser.trained.views_at_once if recogniser else 1,
        limit=limit,
        may_overfill=True,
    )
    for group, batch in batches:
        if recogniser is None or group is None:
            yield from (_with_remarks(_unasked(one, known)) for one in batch)
            continue
        net = net or recogniser.trained.net()
        began, shown = time.monotonic(), [_shown(one) for one in batch]
        features = recogniser.features(net, np.concatenate(shown))
        each = (time.monotonic() - began) / len(features)
        for one, part in zip(batch, by_study(features, [len(views) for views in shown]), strict=True):
            yield _with_remarks(_recognised(one, recogniser.recognise(part), each * len(part), known))


def _with_remarks(study: GroupedStudy) -> GroupedStudy:
    """The study with what its pictures' headers give reason to warn of, too."""
    found = [study.warning, *study.opened.views.warnings]
    return replace(study, warning="; ".join(filter(None, found)))


def _needs_no_look(one: OpenedStudy) -> bool:
    """Whether there is nothing to ask: no picture, or tags or a path that name groups, none that a member is for."""
    files, is_named = one.request.files, one.request.group is not None
    return not len(one.views.prepared) or (not is_named and bool(files.stated or files.contradiction))


def _unasked(one: OpenedStudy, known: Sequence[str]) -> GroupedStudy:
    group, source, stated = one.request.group, one.request.source, one.request.files.stated
    if not len(one.views.prepared):
        return GroupedStudy(one, group, source if group else "", problem=one.request.files.fault or UNREADABLE)
    if group is None and one.request.files.contradiction:
        return GroupedStudy(one, None, source, problem=f"{one.request.files.contradiction}: {MENDED}")
    if group is None:
        named = f"its {source} says {stated.name}" if stated else "nothing names its group"
        return GroupedStudy(one, None, source, problem=f"{named}: this ensemble knows {', '.join(known)}")
    return GroupedStudy(one, group, source)


def _shown(one: OpenedStudy) -> Bytes:
    """The pictures that the recogniser is shown."""
    return one.views.prepared[one.copies.counted] if one.request.group is None else one.views.prepared[:1]


def _doubt(seen: Recognition, group: str) -> str:
    """What speaks against the group that a study is said to be of; empty where nothing does."""
    if contradicts(seen, group):
        return f"looks like {seen.likeliest} ({seen.confidence:.2f}), not {group}"
    return "" if seen.is_typical else f"does not look like {group}, nor like any other group of this ensemble"


def _recognised(one: OpenedStudy, seen: Recognition, seconds: float, known: Sequence[str]) -> GroupedStudy:
    group = one.request.group
    if group is not None:
        return GroupedStudy(one, group, one.request.source, seen.shares[group], _doubt(seen, group), seconds=seconds)
    if seen.group is None:
        problem = f"looks like none of the groups this ensemble knows ({', '.join(known)}); name it with --group"
        return GroupedStudy(one, None, RECOGNISED, seen.confidence, problem=problem, seconds=seconds)
    return GroupedStudy(one, seen.group, RECOGNISED, seen.confidence, seconds=seconds)
