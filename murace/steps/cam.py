"""Read studies with the roster's members and draw where they look."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from murace.config import Machine
from murace.data.studies.find import StudyFiles, find_studies
from murace.errors import DataError, MuraceError, UsageError
from murace.explain.cam import MapMethod
from murace.explain.overlays import (
    INDEX,
    RECORD,
    draw_all,
    drawn_before,
    drawn_folders,
    is_index_of,
    refuse_foreign,
    refuse_foreign_index,
    write_index,
)
from murace.explain.overlays.folders import placed
from murace.inference.ensemble import Ensemble
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.studies import Assigned, RequestedStudy, assign_groups, require_group, wanted
from murace.system import device
from murace.system.progress import Reporter
from murace.workspace import writing
from murace.workspace.paths import Workspace

SHOWN = 20  # studies in a message


@dataclass(frozen=True)
class StudyOverlays:
    """One study's answer; `content` is what `study.json` holds."""

    folder: Path
    skipped: bool
    content: dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The studies that are drawn, the page that shows them all, and what is wrong with the others, study by study."""

    readings: list[StudyOverlays]
    index: Path | None
    total: int
    unread: list[str] = field(default_factory=list)
    groupless: list[str] = field(default_factory=list)

    @property
    def error(self) -> MuraceError | None:
        """What to say and to end with; None where every study is drawn."""
        parts = [
            f"{len(lost)} of {self.total} studies {verb}: {'; '.join(lost[:SHOWN])}"
            + (f"; and {len(lost) - SHOWN} more" if len(lost) > SHOWN else "")
            for verb, lost in (("could not be read", self.unread), ("have no group", self.groupless))
            if lost
        ]
        if not parts:
            return None
        return (DataError if self.unread else UsageError)("; ".join(parts))


def run(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    map_method: MapMethod,
    group: str | None,
    out: Path,
    machine: Machine,
    reporter: Reporter,
    force: bool = False,
) -> Drawn:
    """Draw every view of every study in `paths` (folders, searched to their depths, or image files).

    Raises:
        UsageError: an unknown group; the nets have no map; or a file that is not `cam`'s would be overwritten. Nothing
            is drawn then.
        WorkspaceError: a member is missing, stale or damaged; or another process draws into `out`.
        DataError: a path does not exist or holds no view.
        Interrupted: a signal asked to stop; studies that are finished stay.
    """
    chosen, remark = device.choose(machine)
    ensemble = WorkspaceEnsemble(workspace, chosen)
    require_group(group, ensemble.groups)
    asked = wanted(find_studies(paths, known=ensemble.groups, skip=out, reporter=reporter), ensemble.groups, group)
    _require_maps(ensemble, map_method, {one.group for one in asked if one.group})
    threads = device.set_threads(machine)
    if remark:
        reporter.say(remark)
    groups = assign_groups(
        asked,
        ensemble,
        is_new=lambda one: force or _is_new(one, out, ensemble, map_method),
        threads=threads,
        reporter=reporter,
    )
    studies = placed([_placed(one, groups[one.number]) for one in asked if groups[one.number].group], out)
    members = {group: ensemble.member(group) for group in sorted({study.group for study in studies})}
    _require_maps(ensemble, map_method, set(members))
    for study in studies:
        refuse_foreign(study)
    refuse_foreign_index(out)
    with writing(out) if studies else nullcontext():
        drawn = draw_all(studies, members, map_method=map_method, force=force, threads=threads, reporter=reporter)
        readings = [
            StudyOverlays(study.folder, skipped=number in drawn.before, content=drawn.records[number])
            for number, study in enumerate(studies)
            if number in drawn.records
        ]
        index = _index(out, readings, ensemble.caveats, threads=threads, reporter=reporter)
    lost = [(one.files.name, groups[one.number]) for one in asked if not groups[one.number].group]
    unread = [str(drawn.bad[number]) for number in sorted(drawn.bad)]
    unread += ["; ".join(its.faults) for _, its in lost if its.faults]
    groupless = [f"{name}: {its.problem}" for name, its in lost if not its.faults]
    return Drawn(readings, index, len(asked), unread, groupless)


def _index(
    out: Path, readings: Sequence[StudyOverlays], caveats: Sequence[str], *, threads: int, reporter: Reporter
) -> Path | None:
    """The page over everything that stands in `out`, made anew where something has been drawn since."""
    if not readings:
        return None
    page, folders = out / INDEX, drawn_folders(out)
    newest = max(((folder / RECORD).stat().st_mtime_ns for folder in folders), default=0)
    if is_index_of(page, folders) and page.stat().st_mtime_ns > newest:
        return page
    return write_index(out, folders, notes=caveats, reporter=reporter, threads=threads)


def _require_maps(ensemble: Ensemble, map_method: MapMethod, groups: set[str]) -> None:
    for group in sorted(groups):
        map_method.require(ensemble.member(group).head, who=f"the member for {group}")


def _is_new(one: RequestedStudy, out: Path, ensemble: Ensemble, map_method: MapMethod) -> bool:
    """Whether a study of a known group is going to be drawn."""
    if one.group is None:
        return False
    (study,) = placed([(one.files, one.group, one.source, "")], out)
    return drawn_before(study, ensemble.member(one.group), map_method) is None


def _placed(one: RequestedStudy, its: Assigned) -> tuple[StudyFiles, str, str, str]:
    assert its.group is not None
    return one.files, its.group, its.source, its.warning
