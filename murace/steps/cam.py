"""Draw where the roster's members look in studies: class activation maps over every view."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from murace.config import Machine
from murace.data.images.header import ImageError
from murace.data.studies.find import find_studies
from murace.data.studies.open import OpenedStudy, RequestedStudy, open_studies
from murace.errors import DataError, MuraceError, UsageError
from murace.explain.cam import MapMethod
from murace.explain.overlays.draw import WAITING, WEIGHT, draw_all
from murace.explain.overlays.folder import RECORD, VIEWS, drawn_before, refuse_foreign, sealed_record
from murace.explain.overlays.folders import StudyToDraw, folder_of
from murace.explain.overlays.index import INDEX, drawn_folders, is_index_of, refuse_foreign_index, write_index
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.ensemble.interface import Ensemble
from murace.inference.studies.groups import GroupedStudy, assign_groups, requested, require_group
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
    """The studies that are drawn, the page that shows them all, and what is wrong with the others, study by study.

    `remarks` are about what was typed, how studies that are not drawn were put together, and overlays of earlier runs.
    """

    studies: list[StudyOverlays]
    index: Path | None
    total: int
    unread: list[str] = field(default_factory=list)
    groupless: list[str] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

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
    each_file: bool = False,
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
    ensemble = WorkspaceEnsemble(workspace, chosen, reporter)
    require_group(group, ensemble.groups)
    asked = find_studies(paths, known=ensemble.groups, each_file=each_file, skip=out, reporter=reporter)
    requests = requested(asked.studies, ensemble.groups, group)
    drawing = _Drawing(out, ensemble, map_method, force)
    for one in requests:
        if one.group:
            drawing.place(one, one.group, one.source)
    refuse_foreign_index(out)
    threads = device.set_threads(machine)
    if remark:
        remark.tell(reporter)
    recogniser = ensemble.recogniser()
    trained = recogniser.trained if recogniser else ensemble.member(ensemble.groups[0])  # all take pictures of one size
    with ExitStack() as stack:
        lock = cache(lambda: stack.enter_context(writing(out)))
        with reporter.bar("studies", len(requests)) as drawing.bar:
            for number, study in drawing.placed.items():
                lock()
                reporter.check()
                drawing.note_drawn_before(number, study)
            with open_studies(
                [one for one in requests if one.number not in drawing.found],
                size=trained.size,
                fit=trained.fit,
                scales=map_method.scales[1:],
                keep_originals=True,
                limit=WEIGHT,
                threads=threads,
                reporter=reporter,
            ) as opened:
                drawn = draw_all(
                    drawing.to_draw(assign_groups(opened, ensemble.groups, recogniser, limit=WAITING), lock),
                    ensemble.member,
                    map_method=map_method,
                    at_once=trained.views_at_once,
                    threads=threads,
                    reporter=reporter,
                )
                with closing(drawn):
                    for number, outcome in drawn:
                        drawing.note(number, outcome)
        found = [drawing.found[number] for number in sorted(drawing.found)]
        studies = [one for one in found if isinstance(one, StudyOverlays)]
        index = _index(out, studies, ensemble.caveats, threads=threads, reporter=reporter)
    unread, groupless = ([str(one) for one in found if isinstance(one, kind)] for kind in (ImageError, UsageError))
    undrawn = [one.files for one in requests if not isinstance(drawing.found.get(one.number), StudyOverlays)]
    warnings = (f"{files.name}: {files.warning}" for files in undrawn if files.warning)
    remarks = (*asked.remarks, *warnings, *_drawn_otherwise(out, studies))
    return Drawn(studies, index, len(requests), unread, groupless, remarks)


@dataclass
class _Drawing:
    """What is asked for, which studies have a place, and what has become of each; both by number.

    An `ImageError` is about a file or an answer that is no good, a `UsageError` about a study that no member is for.
    """

    out: Path
    ensemble: Ensemble
    map_method: MapMethod
    force: bool
    bar: Bar = field(default_factory=Bar)
    placed: dict[int, StudyToDraw] = field(default_factory=dict)
    taken: set[Path] = field(default_factory=set)
    found: dict[int, StudyOverlays | ImageError | UsageError] = field(default_factory=dict)

    def place(self, request: RequestedStudy, group: str, source: str) -> None:
        """Give a study its folder, once it is known that it can be drawn there.

        Raises:
            UsageError: two studies would share the folder, a file that is not `cam`'s is there, or the group's member
                has no such maps.
        """
        self.map_method.require(self.ensemble.member(group).head, who=f"the member for {group}")
        files, folder = request.files, self.out / folder_of(request.files, group)
        study = StudyToDraw(files.views, group, source, folder, put_together=files.warning)
        if study.folder in self.taken:
            where = f"two studies would both be drawn into {study.folder}"
            raise UsageError(f"{where}: draw them into different --out folders")
        refuse_foreign(study)
        self.taken.add(study.folder)
        self.placed[request.number] = study

    def note(self, number: int, outcome: dict[str, Any] | ImageError | UsageError, *, skipped: bool = False) -> None:
        """Keep what has become of a study; a record is of one that is drawn, now or, `skipped`, before."""
        study = self.placed.get(number)
        if isinstance(outcome, dict):
            assert study is not None
            self.found[number] = StudyOverlays(study.folder, skipped, outcome)
        else:
            self.found[number] = outcome
        self.bar.advance(note=study.group if study else "")

    def note_drawn_before(self, number: int, study: StudyToDraw, digests: Sequence[str] | None = None) -> None:
        """Keep the record of a study that need not be drawn again."""
        if not self.force:
            member = self.ensemble.member(study.group)
            record = drawn_before(study, member, self.map_method, digests=digests)
            if record is not None:
                self.note(number, record, skipped=True)

    def to_draw(
        self, grouped: Iterable[GroupedStudy], lock: Callable[[], object]
    ) -> Iterator[tuple[StudyToDraw, OpenedStudy]]:
        """Those that are to be drawn; `lock` is called before the first whose group is recognised."""
        for one in grouped:
            request, views = one.opened.request, one.opened.views
            faults = [f"{path}: {why}" for path, why in zip(request.files.views, views.faults, strict=True) if why]
            if one.group is None and len(views.prepared) and request.files.contradiction:
                self.note(request.number, ImageError(f"{request.files.name}: {one.problem}"))
            elif one.group is None and len(views.prepared):
                self.note(request.number, UsageError(f"{request.files.name}: {one.problem}"))
            elif one.group is None and request.files.fault:
                self.note(request.number, ImageError(f"{request.files.name}: {request.files.fault}"))
            elif one.group is None or faults:
                self.note(request.number, ImageError("; ".join(faults)))
            else:
                if request.number not in self.placed:
                    self.place(request, one.group, one.source)
                    lock()
                    self.note_drawn_before(request.number, self.placed[request.number], views.sha256)
                if request.number not in self.found:
                    placed, counted = self.placed[request.number], tuple(map(bool, one.opened.copies.counted))
                    yield replace(placed, warning=one.remarks, counted=counted), one.opened


def _drawn_otherwise(out: Path, studies: Sequence[StudyOverlays]) -> Iterator[str]:
    """Overlays of earlier runs that answer about some of the same pictures, as parts of other studies or groups."""
    ours, digests = {one.folder for one in studies}, {digest for one in studies for digest in one.content[VIEWS]}
    for folder in drawn_folders(out) if studies else []:
        before = (sealed_record(folder / RECORD) or {}).get(VIEWS, [])
        if folder not in ours and not digests.isdisjoint(before):
            yield f"{folder} shows the same pictures, put together or grouped otherwise: delete it if it is out of date"


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
