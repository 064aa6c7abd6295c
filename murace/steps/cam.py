"""Read studies with the roster's members and draw where they look."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from murace import device
from murace.cam import Way
from murace.config import Machine
from murace.data.finding import Found, find_studies
from murace.data.studies import folder_of, placed
from murace.errors import DataError, MuraceError, UsageError
from murace.overlays import (
    INDEX,
    RECORD,
    draw_all,
    drawn_folders,
    refuse_foreign,
    refuse_foreign_index,
    write_index,
)
from murace.panel import WorkspacePanel
from murace.readings import Assigned, Wanted, assign_groups, require_group, wanted
from murace.record import writing
from murace.watch import Watch
from murace.workspace import Workspace


@dataclass(frozen=True)
class Reading:
    """One study's answer; `content` is what `study.json` holds."""

    folder: Path
    skipped: bool
    content: dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The studies that are drawn, the page that shows them all, and what is wrong with the others, study by study."""

    readings: list[Reading]
    index: Path | None
    total: int
    unread: list[str] = field(default_factory=list)
    groupless: list[str] = field(default_factory=list)

    @property
    def error(self) -> MuraceError | None:
        """What to say and to end with; None where every study is drawn."""
        lost = [*self.unread, *self.groupless]
        if not lost:
            return None
        kind = DataError if self.unread else UsageError
        verb = "could not be read" if self.unread else "have no group"
        return kind(f"{len(lost)} of {self.total} studies {verb}: {'; '.join(lost)}")


def run(
    workspace: Workspace,
    paths: Sequence[Path],
    *,
    way: Way,
    group: str | None,
    out: Path,
    machine: Machine,
    watch: Watch,
    force: bool = False,
) -> Drawn:
    """Draw every view of every study in `paths` (folders, searched to their depths, or image files).

    Raises:
        UsageError: an unknown group; the nets have no map; or a file that is not `cam`'s would be overwritten. Nothing
            is drawn then.
        WorkspaceError: a member is missing, stale or damaged; or another process draws into `out`.
        DataError: a path does not exist or holds no view.
        Interrupted: the watch says so; studies that are finished stay.
    """
    chosen, remark = device.choose(machine)
    panel = WorkspacePanel(workspace, chosen)
    require_group(group, panel.groups)
    asked = wanted(find_studies(paths, known=panel.groups, skip=out), panel.groups, group)
    threads = device.set_threads(machine)
    if remark:
        watch.say(remark)
    groups = assign_groups(asked, panel, is_new=lambda one: force or _is_new(one, out), threads=threads, watch=watch)
    studies = placed([_placed(one, groups[one.number]) for one in asked if groups[one.number].group], out)
    members = {group: panel.member(group) for group in sorted({study.group for study in studies})}
    for group, member in members.items():
        way.require(member.head, who=f"the member for {group}")
    for study in studies:
        refuse_foreign(study)
    refuse_foreign_index(out)
    with writing(out) if studies else nullcontext():
        drawn = draw_all(studies, members, way=way, force=force, threads=threads, watch=watch)
        readings = [
            Reading(study.folder, skipped=number in drawn.before, content=drawn.records[number])
            for number, study in enumerate(studies)
            if number in drawn.records
        ]
        index = _index(out, readings, panel.caveats, threads=threads, watch=watch)
    lost = [(one.found.name, groups[one.number]) for one in asked if not groups[one.number].group]
    unread = [str(drawn.bad[number]) for number in sorted(drawn.bad)]
    unread += ["; ".join(its.faults) for _, its in lost if its.faults]
    groupless = [f"{name}: {its.problem}" for name, its in lost if not its.faults]
    return Drawn(readings, index, len(asked), unread, groupless)


def _index(
    out: Path, readings: Sequence[Reading], caveats: Sequence[str], *, threads: int, watch: Watch
) -> Path | None:
    """The page over everything that stands in `out`, made anew where something has been drawn since."""
    if not readings:
        return None
    page, folders = out / INDEX, drawn_folders(out)
    newest = max((folder / RECORD).stat().st_mtime_ns for folder in folders)
    if page.is_file() and page.stat().st_mtime_ns > newest:
        return page
    return write_index(out, folders, notes=caveats, watch=watch, threads=threads)


def _is_new(one: Wanted, out: Path) -> bool:
    """Whether a study of a known group has not been drawn into this folder."""
    return one.group is not None and not (out / folder_of(one.found, one.group) / RECORD).is_file()


def _placed(one: Wanted, its: Assigned) -> tuple[Found, str, str, str]:
    assert its.group is not None
    return one.found, its.group, its.source, its.warning
