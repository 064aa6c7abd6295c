"""Draw where the roster's members look in studies: class activation maps over every view."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from murace.config import Machine
from murace.data.images.header import ImageError
from murace.data.studies.find import StudyFiles, find_studies
from murace.data.studies.open import OpenedStudy, open_studies
from murace.errors import DataError, MuraceError, UsageError
from murace.explain.cam import MapMethod
from murace.explain.overlays import (
    INDEX,
    RECORD,
    WAITING,
    WEIGHT,
    DrawnStudy,
    StudyToDraw,
    draw_all,
    drawn_before,
    drawn_folders,
    folder_of,
    is_index_of,
    records_of_drawn,
    refuse_foreign,
    refuse_foreign_index,
    write_index,
)
from murace.inference.ensemble import Ensemble
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.studies import GroupedStudy, assign_groups, requested, require_group
from murace.system import device
from murace.system.progress import Bar, Reporter
from murace.workspace import writing
from murace.workspace.paths import Workspace

SHOWN = 20  # studies in a message


@dataclass(frozen=True)
class StudyOverlays:
    """A study that is drawn; `content` is what `study.json` holds."""

    folder: Path
    skipped: bool
    content: dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The studies that are drawn, the page that shows them all, and what is wrong with the others, study by study."""

    studies: list[StudyOverlays]
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
        UsageError: an unknown group; the nets have no map; or a file that is not `cam`'s would be overwritten. Where a
            study's group is named nothing is drawn then; where it is recognised, nothing more.
        WorkspaceError: a member is missing, stale or damaged; or another process draws into `out`. Likewise.
        DataError: a path does not exist or holds no view.
        Interrupted: a signal asked to stop; studies that are finished stay.
    """
    chosen, remark = device.choose(machine)
    ensemble = WorkspaceEnsemble(workspace, chosen)
    require_group(group, ensemble.groups)
    requests = requested(
        find_studies(paths, known=ensemble.groups, skip=out, reporter=reporter), ensemble.groups, group
    )
    target = _Target(out, ensemble, map_method)
    named = {one.number: target.place(one.files, one.group, one.source) for one in requests if one.group}
    refuse_foreign_index(out)
    threads = device.set_threads(machine)
    if remark:
        reporter.say(remark)
    recogniser = ensemble.recogniser()
    trained = recogniser.trained if recogniser else ensemble.member(ensemble.groups[0])  # all take pictures of one size
    how: dict[str, Any] = {"map_method": map_method, "threads": threads, "reporter": reporter}
    with ExitStack() as stack:
        lock = cache(lambda: stack.enter_context(writing(out)))
        with reporter.bar("studies", len(requests)) as bar:
            outcomes = _Outcomes(bar, named)
            if named:
                lock()
                for number, record in () if force else records_of_drawn(named, ensemble.member, **how):
                    outcomes.add_drawn(number, record, skipped=True)
            rest = [one for one in requests if one.number not in outcomes.drawn]
            with open_studies(
                rest,
                size=trained.size,
                fit=trained.fit,
                scales=map_method.scales[1:],
                keep_originals=True,
                limit=WEIGHT,
                threads=threads,
                reporter=reporter,
            ) as opened:
                grouped = assign_groups(opened, ensemble.groups, recogniser, limit=WAITING)
                pairs = _to_draw(grouped, target, outcomes, force=force, lock=lock)
                with closing(draw_all(pairs, ensemble.member, at_once=trained.views_at_once, **how)) as drawn:
                    for one in drawn:
                        outcomes.add(one)
        studies = [outcomes.drawn[number] for number in sorted(outcomes.drawn)]
        index = _index(out, studies, ensemble.caveats, threads=threads, reporter=reporter)
    unread = [outcomes.unread[key] for key in sorted(outcomes.unread)]
    groupless = [outcomes.groupless[number] for number in sorted(outcomes.groupless)]
    return Drawn(studies, index, len(requests), unread, groupless)


@dataclass(frozen=True)
class _Target:
    """Where studies are drawn, by whose maps and how; `taken` are the folders that have a study already."""

    out: Path
    ensemble: Ensemble
    map_method: MapMethod
    taken: set[Path] = field(default_factory=set)

    def place(self, files: StudyFiles, group: str, source: str) -> StudyToDraw:
        """A study with its folder, once it is known that it can be drawn there.

        Raises:
            UsageError: two studies would share the folder, a file that is not `cam`'s is there, or the group's member
                has no such maps.
        """
        study = StudyToDraw(files.views, group, source, self.out / folder_of(files, group))
        self.map_method.require(self.ensemble.member(group).head, who=f"the member for {group}")
        if study.folder in self.taken:
            raise UsageError(
                f"two studies would both be drawn into {study.folder}: draw them into different --out folders"
            )
        refuse_foreign(study)
        self.taken.add(study.folder)
        return study


@dataclass
class _Outcomes:
    """What became of the studies, by number: drawn, with a file that cannot be read, or without a group.

    `placed` are those with a group; in `unread` they come first.
    """

    bar: Bar
    placed: dict[int, StudyToDraw]
    drawn: dict[int, StudyOverlays] = field(default_factory=dict)
    unread: dict[tuple[bool, int], str] = field(default_factory=dict)
    groupless: dict[int, str] = field(default_factory=dict)

    def add(self, one: DrawnStudy) -> None:
        """A study that a net was asked about."""
        if isinstance(one.outcome, ImageError):
            self.add_unread(one.number, str(one.outcome), has_group=True)
        else:
            self.add_drawn(one.number, one.outcome)

    def add_drawn(self, number: int, record: dict[str, Any], *, skipped: bool = False) -> None:
        """A study that is drawn, now or, `skipped`, before."""
        study = self.placed[number]
        self.drawn[number] = StudyOverlays(study.folder, skipped, record)
        self.bar.advance(note=study.group)

    def add_unread(self, number: int, reason: str, *, has_group: bool) -> None:
        """A study of which a file cannot be read, or whose answer is no number."""
        self.unread[not has_group, number] = reason
        self.bar.advance()

    def add_groupless(self, number: int, reason: str) -> None:
        """A study that no member is for."""
        self.groupless[number] = reason
        self.bar.advance()


def _to_draw(
    grouped: Iterable[GroupedStudy], target: _Target, outcomes: _Outcomes, *, force: bool, lock: Callable[[], object]
) -> Iterator[tuple[StudyToDraw, OpenedStudy]]:
    """Those that are to be drawn; what becomes of the others is noted. `lock` is called before the first."""
    for one in grouped:
        opened, number, files = one.opened, one.opened.request.number, one.opened.request.files
        faults = [f"{path}: {why}" for path, why in zip(files.views, opened.views.faults, strict=True) if why]
        if one.group is None and len(opened.views.prepared):
            outcomes.add_groupless(number, f"{files.name}: {one.problem}")
            continue
        if one.group is None or faults:
            reason = f"{files.name}: {files.fault}" if files.fault else "; ".join(faults)
            outcomes.add_unread(number, reason, has_group=one.group is not None)
            continue
        is_recognised = number not in outcomes.placed
        if is_recognised:
            outcomes.placed[number] = target.place(files, one.group, one.source)
            lock()
        study = replace(outcomes.placed[number], warning=one.warning)
        if is_recognised and not force:
            member = target.ensemble.member(one.group)
            record = drawn_before(study, member, target.map_method, digests=opened.views.sha256)
            if record is not None:
                outcomes.add_drawn(number, record, skipped=True)
                continue
        yield study, opened


def _index(
    out: Path, studies: Sequence[StudyOverlays], caveats: Sequence[str], *, threads: int, reporter: Reporter
) -> Path | None:
    """The page over everything that stands in `out`, made anew where something has been drawn since."""
    if not studies:
        return None
    page, folders = out / INDEX, drawn_folders(out)
    newest = max(((folder / RECORD).stat().st_mtime_ns for folder in folders), default=0)
    if is_index_of(page, folders) and page.stat().st_mtime_ns > newest:
        return page
    return write_index(out, folders, notes=caveats, reporter=reporter, threads=threads)
