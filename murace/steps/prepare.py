"""Read radiographs into one table and one array, split by patient into training, validation and test."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from murace.config import MAX_REJECTED_FRACTION, REFUSE, PrepareConfig, params
from murace.data import store
from murace.data.audit import findings as audit
from murace.data.images.resize import RESIZER
from murace.data.ingest import read_all
from murace.data.ingest.job import ImageOutcome
from murace.data.sources import changes, counts, duplicates, split
from murace.data.sources.listing import (
    COLUMNS,
    ConflictError,
    Listing,
    empty_studies,
    reasons,
    remark_notes,
    remarks,
    tabulate,
)
from murace.data.sources.source import read_source
from murace.data.tables.paths import LEADS_OUT
from murace.errors import DataError, UsageError
from murace.system.launch import usable_cores
from murace.system.progress import Reporter
from murace.vocabulary import Split
from murace.workspace import Action, Plan, Rerun, StepRun, begin, commit, decide, forget, read, writing
from murace.workspace.paths import PrepareFolder, Workspace

STEP = "prepare"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """How this run is carried out; nothing here changes what comes out.

    `jobs`: reading processes (default: the cores it may use). `accept_rejects`: how many unusable files are fine.
    `preview`: where to draw Figure 1.
    """

    jobs: int | None = None
    accept_rejects: int | None = None
    preview: Path | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs must be at least 1, not {self.jobs}")
        if self.accept_rejects is not None and self.accept_rejects < 0:
            raise UsageError(f"--accept-rejects must be at least 0, not {self.accept_rejects}")
        if self.preview is not None and self.preview.suffix.lower() != ".png":
            raise UsageError(f"--preview must name a .png file, not {self.preview}")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What is in the workspace now. `counts` is Table 1; `skipped`: nothing had changed; `notes` hold no ids.

    `dropped`: of each split, images that `--leaks` left out. `alike`: of each column, ids written in several ways.
    """

    skipped: bool
    dropped: dict[str, int]
    alike: dict[str, int]
    counts: pd.DataFrame
    images: int
    studies: int
    patients: int
    rejected: int
    ignored: int
    notes: list[str]


def run(
    source: Path,
    workspace: Workspace,
    config: PrepareConfig,
    *,
    operation: Operation,
    rerun: Rerun,
    reporter: Reporter,
) -> Prepared:
    """Prepare a MURA folder or a manifest, unless that has been done.

    Raises:
        DataError: the source, its labels or its splits are not fit for use, or too many files are not.
        WorkspaceError: another process is at it, or an unfinished run was about something else.
        MachineError: the disk is full or cannot be written to.
        Interrupted: a signal came; what has been read is kept.
    """
    place = workspace.prepare
    with writing(place.folder):
        try:
            listing = read_source(source, follow_links=config.follow_links, reporter=reporter)
        except ConflictError as conflict:
            raise _conflict_error(conflict, conflict.table, place) from None
        if config.leaks != REFUSE and not listing.gives_split:
            raise UsageError(
                f"--leaks {config.leaks} mends a split that the data give, and {source} has no column split; where "
                "murace makes the split, identical pictures stay on one side"
            )
        plan = _plan(place, listing, config, rerun)
        if not plan.skips:
            for reason in plan.reasons:
                reporter.say(f"{STEP}: {reason}")
            afresh = plan.action is Action.RUN and (rerun.force or rerun.resume is False)
            _prepare(listing, place, config, operation, afresh, reporter)
        shutil.rmtree(place.partial, ignore_errors=True)
        if operation.preview is not None:
            _draw(operation.preview, place, config.seed, listing.is_synthetic)
        return _summary(place, skipped=plan.skips)


def _plan(place: PrepareFolder, listing: Listing, config: PrepareConfig, rerun: Rerun) -> Plan:
    """What to do; also looks at the files themselves, whose contents the listing's digest does not cover."""
    step_run = StepRun(folder=place.folder, step=STEP, params=params(config), consumed={"source": listing.digest})
    plan = decide(step_run, rerun)
    if plan.skips:
        changed = changes.since(place.sources, listing, follow_links=config.follow_links)
        if changed:
            return Plan(step_run, Action.RUN, (changed,))
    return plan


def _prepare(
    listing: Listing,
    place: PrepareFolder,
    config: PrepareConfig,
    operation: Operation,
    afresh: bool,
    reporter: Reporter,
) -> None:
    about = {"source": listing.digest, "size": config.size, "fit": config.fit}
    if config.follow_links:  # what was refused as a link is to be read now
        about["follow_links"] = True
    scratch = read_all.Scratch(place.partial, place.pixels, about)
    if afresh:
        forget(place.folder, place.partial)
    request = read_all.Request(
        listing.root, listing.images["path"].tolist(), config.size, config.fit, config.follow_links
    )
    read_all.require_space(request, scratch)
    begin(place.folder, STEP, params(config), {"source": listing.digest})
    try:
        outcomes = read_all.read_all(request, scratch, jobs=operation.jobs or usable_cores(), reporter=reporter)
        rejected = tabulate(listing, outcomes)
        store.write_frame(place.rejected, rejected, private=True)
        links = int((rejected["reason"] == LEADS_OUT).sum())
        _refuse(len(rejected), links, listing.listed, place, operation.accept_rejects)
        images, dropped = _without_leaks(_readable_images(listing, outcomes), config.leaks)
        if not dropped.empty:  # before what is left is checked: whoever is refused for lack of it can see why
            rejected = pd.concat([rejected, duplicates.reasons(images, dropped)]).sort_values("path", ignore_index=True)
            store.write_frame(place.rejected, rejected, private=True)
        images = _split(images, listing, config.seed)
        table = counts.tabulate(images, None if config.leaks == REFUSE else dropped)
        leaks = duplicates.count_dropped(images, dropped)
        leak_notes = duplicates.dropped_notes(leaks)
        classes = counts.check(table, remark="".join(f" ({note})" for note in leak_notes))
    except DataError as error:
        # What was read stays for the next run, but that is no resumed one: the corrected source is another.
        forget(place.folder)
        if isinstance(error, ConflictError):
            raise _conflict_error(error, pd.concat([error.table, rejected]), place) from None
        raise
    read_all.place(scratch, images["position"].tolist())
    found = audit.find(
        images, images[audit.FINGERPRINTS], store.open_pixels(place.pixels), fit=config.fit, reporter=reporter
    )
    findings = audit.count(found, empty_studies(listing, {*images["study"], *dropped["study"]}))
    store.write_frame(place.index, _index(images, listing), private=True)
    store.write_frame(place.fingerprints, images[audit.FINGERPRINTS])
    remarked = remarks(images)
    store.write_frame(place.remarks, remarked)
    store.write_frame(place.counts, table)
    store.write_frame(place.sources, changes.table(request.paths, outcomes), private=True)
    files = (place.index, place.pixels, place.fingerprints, place.remarks, place.counts, place.sources)
    seen = {str(remark): int(count) for remark, count in remarked["remark"].value_counts().sort_index().items()}
    unfollowed = [f"{links} links lead out of the source: --follow-links reads what they lead to"] if links else []
    notes = [*listing.notes, *unfollowed, *leak_notes, *remark_notes(seen), *audit.notes(findings), *classes]
    about = {"findings": findings, "unusable": reasons(rejected), "notes": notes}
    some = (("remarks", seen), ("alike", listing.alike), ("dropped", leaks))
    about |= {name: value for name, value in some if value}
    info = _info(listing, images, len(rejected) - len(dropped), config)
    commit(place.folder, [path.name for path in files], info=info | about)


def _conflict_error(conflict: ConflictError, rejected: pd.DataFrame, place: PrepareFolder) -> DataError:
    """List all images that are in conflict in `rejected.csv`; returns the error that names it."""
    store.write_frame(place.rejected, rejected, private=True)
    return DataError(f"{conflict}. {place.rejected} lists all {len(conflict.culprits)} images")


def _refuse(rejected: int, links: int, listed: int, place: PrepareFolder, accepted: int | None) -> None:
    """Refuse more than 1 % of unusable files, `links` of them, unless `--accept-rejects` allows so many."""
    if rejected > max(MAX_REJECTED_FRACTION * listed, accepted or 0):
        mend = f"read the {links} that are links out of the source with --follow-links, " if links else ""
        raise DataError(
            f"{rejected} of {listed} radiographs cannot be used, more than {MAX_REJECTED_FRACTION:.0%}: "
            f"{place.rejected} says which and why; {mend}repair them, or accept that with --accept-rejects {rejected}"
        )


def _readable_images(listing: Listing, outcomes: list[ImageOutcome]) -> pd.DataFrame:
    """The images that could be read, with what was read from them; `position`: their number as listed."""
    found = pd.DataFrame([[getattr(outcome, name) for name in _OUTCOME] for outcome in outcomes], columns=_OUTCOME)
    images = listing.images[COLUMNS].join(found)  # the manifest's own columns may have any name: `_index` adds them
    images["position"] = range(len(images))
    return images[images["reason"] == ""]


def _without_leaks(images: pd.DataFrame, leaks: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images to use, and those dropped, so that no picture stands in two given splits.

    Raises:
        ConflictError: there are such pictures, and none is to be dropped.
    """
    if leaks == REFUSE:
        duplicates.refuse_across(images)
        return images, images[:0]
    return duplicates.drop_across(images, leaks)


def _split(images: pd.DataFrame, listing: Listing, seed: int) -> pd.DataFrame:
    """The images by row of the index, with their splits; the cuts made here never part identical pictures."""
    images = images.reset_index(drop=True)
    images["row"] = range(len(images))
    whole = images[images["split"] == Split.TRAIN]
    united = duplicates.unite(whole["patient"], whole["pixels"])
    images["unit"] = images["patient"].map(united).fillna(images["patient"])
    images["split"] = split.assign(images, listing.cuts, seed=seed)
    return images


_OUTCOME = ["reason", "width", "height", "sha256", "pixels", "phash", "colour", "remark", "remarks"]


def _index(images: pd.DataFrame, listing: Listing) -> pd.DataFrame:
    extra = listing.images.drop(columns=COLUMNS).iloc[images["position"]].reset_index(drop=True)
    return images[store.COLUMNS].join(extra)


def _info(listing: Listing, images: pd.DataFrame, rejected: int, config: PrepareConfig) -> dict[str, Any]:
    return {
        "images": len(images),
        "studies": int(images["study"].nunique()),
        "patients": int(images["patient"].nunique()),
        "rejected": rejected,
        "ignored": listing.ignored,
        "patient_level": listing.patient_level,
        "source_form": listing.form,
        "synthetic": listing.is_synthetic,
        "size": config.size,
        "resize": RESIZER,
    }


def _draw(path: Path, place: PrepareFolder, seed: int, synthetic: bool) -> None:
    # Half a gigabyte and a second for torch, which nothing else here needs: memory stays far below its bound without.
    from murace.report.drawing.preview import draw_preview  # noqa: PLC0415

    images, pixels = store.read_index(place.index), store.open_pixels(place.pixels)
    draw_preview(path, images, pixels, seed=seed, synthetic=synthetic)


def _summary(place: PrepareFolder, *, skipped: bool) -> Prepared:
    record = read(place.folder)
    assert record is not None, "a summary of nothing"
    info = {key: record.info[key] for key in ("images", "studies", "patients", "rejected", "ignored", "notes")}
    info |= {"alike": dict(record.info.get("alike", {})), "dropped": dict(record.info.get("dropped", {}))}
    return Prepared(skipped=skipped, counts=store.read_frame(place.counts, needs=("group",)), **info)
