"""The group of each study before anything is answered: what `cam` needs to know where a study's pictures go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from murace.inference.ensemble import Ensemble
from murace.inference.studies.opened import RequestedStudy, open_studies
from murace.inference.studies.route import GroupedStudy, route
from murace.system.progress import Reporter


@dataclass(frozen=True)
class Assigned:
    """A study's group and how it is known, or the problem; `faults` where that is in its files."""

    group: str | None
    source: str
    warning: str = ""
    problem: str = ""
    faults: tuple[str, ...] = ()


def assign_groups(
    asked: Sequence[RequestedStudy],
    ensemble: Ensemble,
    *,
    is_new: Callable[[RequestedStudy], bool],
    threads: int,
    reporter: Reporter,
) -> dict[int, Assigned]:
    """Ask the recogniser about studies without a group, and about those with one that are new; by number.

    Of the latter it is shown one view: that is enough to notice that they are of another group than they are said to.

    Raises:
        WorkspaceError: there ought to be a recogniser, and it is missing, stale or damaged.
        Interrupted: a signal asked to stop.
    """
    assigned = {one.number: Assigned(one.group, one.source) for one in asked}
    recogniser = ensemble.recogniser()
    shown = [_first_view(one) for one in asked if one.group is None or (recogniser and is_new(one))]
    if not shown:
        return assigned
    member = recogniser.trained if recogniser else ensemble.member(ensemble.groups[0])
    with (
        reporter.bar("recognising", len(shown)) as bar,
        open_studies(shown, size=member.size, fit=member.fit, threads=threads, reporter=reporter) as opened,
    ):
        for routed in route(opened, ensemble.groups, recogniser):
            assigned[routed.opened.request.number] = _assigned(routed)
            bar.advance(note=routed.group or "")
    return assigned


def _first_view(one: RequestedStudy) -> RequestedStudy:
    return one if one.group is None else replace(one, files=replace(one.files, views=one.files.views[:1]))


def _assigned(routed: GroupedStudy) -> Assigned:
    """What is unreadable in a study with a group is said when it is drawn."""
    if routed.group is None and not len(routed.opened.prepared):
        found = routed.opened.request.files
        views = tuple(f"{path}: {fault}" for path, fault in zip(found.views, routed.opened.faults, strict=True))
        faults = (f"{found.name}: {found.fault}",) if found.fault else views
        return Assigned(None, routed.source, problem=routed.problem, faults=faults)
    problem = "" if routed.group else routed.problem
    return Assigned(routed.group, routed.source, routed.warning, problem)
