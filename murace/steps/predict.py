"""Predict new studies with the specialised ensemble: a row for each, and for each of their views."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from murace.config import Machine, PredictConfig, params
from murace.data.store import read_frame, write_frame
from murace.data.studies.find import StudyFiles, find_studies
from murace.data.studies.open import RequestedStudy
from murace.errors import UsageError
from murace.inference.ensemble.from_file import FileEnsemble
from murace.inference.ensemble.from_workspace import WorkspaceEnsemble
from murace.inference.ensemble.interface import Ensemble
from murace.inference.studies.groups import requested, require_group
from murace.inference.studies.journal import journal, kept
from murace.inference.studies.predict import predict_studies
from murace.inference.studies.rows import TEXTS, rows_of, tables
from murace.system import device
from murace.system.files import digest_of, sweep_beside
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.workspace import Rerun, StepRun, commit, decide, writing
from murace.workspace.paths import BEGUN, RECORD, Workspace

TOGETHER = 16  # studies between two moments in which several processes listen to each other


@dataclass(frozen=True)
class Predicted:
    """The two tables as they stand on disk; `remarks` are about what was typed, `caveats` about the ensemble."""

    skipped: bool
    studies: pd.DataFrame
    views: pd.DataFrame
    files: tuple[Path, Path]
    remarks: tuple[str, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class _Places:
    """The two files, and the folder with the record of how they came about."""

    studies: Path

    @property
    def views(self) -> Path:
        return self.studies.with_name(f"{self.studies.stem}-views{self.studies.suffix}")

    @property
    def record(self) -> Path:
        return self.studies.with_name(f"{self.studies.name}.record")

    @property
    def partial(self) -> Path:
        return self.record / "partial"


def run(
    source: Workspace | Path,
    paths: Sequence[Path],
    config: PredictConfig,
    *,
    out: Path,
    machine: Machine,
    rerun: Rerun,
    reporter: Reporter,
) -> Predicted:
    """Read every study in `paths` with the ensemble of a workspace, or of the file that was handed over.

    A killed run goes on after the last study that it has read. What cannot be read, or shows none of the groups, has
    a row that says so. Of several processes each reads its share.

    Raises:
        UsageError: an unknown group or operating point, or `out` is not `predict`'s own.
        MachineError, WorkspaceError, DataError, Interrupted: see their classes.
    """
    processes, places = process_group(), _Places(out)
    _check_out(places)
    chosen, remark = device.choose(machine)
    ensemble: Ensemble = (
        WorkspaceEnsemble(source, chosen, reporter)
        if isinstance(source, Workspace)
        else FileEnsemble(source, chosen, reporter)
    )
    threshold = _threshold(ensemble, config.operating_point)
    require_group(config.group, ensemble.groups)
    model = ensemble.identity
    found = find_studies(paths, known=ensemble.groups, each_file=config.each_file, reporter=reporter)
    requests = requested(found.studies, ensemble.groups, config.group)
    if not processes.leads:
        if processes.receive()["reads"]:
            _read(requests, ensemble, config, threshold, places, machine, reporter)
        return _written(places, found.remarks, ensemble, skipped=not processes.receive()["written"])
    consumed = {"model": model, "input": _digest(found.studies)}
    with writing(places.record):
        for path in (places.studies, places.views):
            sweep_beside(path)
        step_run = StepRun(
            folder=places.record,
            step="predict",
            params=params(config),
            consumed=consumed,
            scratch=places.partial,
        )
        plan = decide(step_run, rerun)
        processes.broadcast({"reads": not plan.skips})
        if not plan.skips:
            plan.begin(reporter)
            if remark:
                remark.tell(reporter)
            _read(requests, ensemble, config, threshold, places, machine, reporter)
            _write(requests, config, places)
            produced = [f"../{path.name}" for path in (places.studies, places.views)]
            commit(places.record, produced, device=str(chosen), info={"remarks": list(found.remarks)})
            shutil.rmtree(places.partial, ignore_errors=True)
    processes.broadcast({"written": not plan.skips})
    return _written(places, found.remarks, ensemble, skipped=plan.skips)


def _check_out(places: _Places) -> None:
    if places.studies.suffix.lower() != ".csv" or places.studies.is_dir():
        raise UsageError(f"--out '{places.studies}': name a csv file, such as predictions.csv")
    if places.studies.name.encode(errors="ignore").decode() != places.studies.name:  # bytes of another encoding
        raise UsageError(f"--out '{places.studies}': the name is no text in this system's encoding; choose another")
    if not any((places.record / name).exists() for name in (RECORD, BEGUN)):  # a damaged one is ours, too
        for path in (places.studies, places.views):
            if path.exists():
                raise UsageError(f"{path} was not written by murace predict: choose another --out")


def _threshold(ensemble: Ensemble, point: str) -> float:
    threshold = ensemble.readout().points.get(point, math.nan)
    if math.isnan(threshold):
        raise UsageError(f"--operating-point {point} is not defined: validation has one class; half always is")
    return threshold


def _digest(found: Sequence[StudyFiles]) -> str:
    """Of what is to be read, by name, size and time, and of how it was put together, which goes into the answers."""
    return digest_of(
        [
            (
                *(study.name, study.fault, study.contradiction, study.warning, study.instances),
                study.stated and (study.stated.name, study.stated.source),
                [(path.name, *_state(path)) for path in study.views],
            )
            for study in found
        ]
    )


def _state(path: Path) -> tuple[int, int]:
    """Nothing of what is not there: reading it will say why."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _read(
    requests: Sequence[RequestedStudy],
    ensemble: Ensemble,
    config: PredictConfig,
    threshold: float,
    places: _Places,
    machine: Machine,
    reporter: Reporter,
) -> None:
    """Read this process's share of what is not read yet, into its journal; leaves when all have done theirs."""
    processes, done = process_group(), kept(places.partial, [one.files for one in requests])
    processes.check(reporter)  # all have looked before one writes
    rest = [one for one in requests if one.number not in done]
    moments = len(rest) // processes.size // TOGETHER if processes.size > 1 else 0
    listener = (
        reporter if processes.size == 1 else Reporter()
    )  # of several processes all stop at the same study, or none
    threads = device.set_threads(machine)
    with (
        reporter.bar("studies", len(requests), start=len(done)) as bar,
        journal(places.partial, processes.rank) as kept_rows,
    ):
        for count, prediction in enumerate(
            predict_studies(rest[processes.rank :: processes.size], ensemble, threads=threads, reporter=listener),
            start=1,
        ):
            kept_rows.add(rows_of(prediction, threshold=threshold, show_ids=config.show_ids))
            bar.advance(processes.size, note=prediction.study.group or "")
            if count % TOGETHER == 0 and count // TOGETHER <= moments:
                processes.check(reporter)
    processes.check(reporter)


def _write(requests: Sequence[RequestedStudy], config: PredictConfig, places: _Places) -> None:
    studies, views = tables(kept(places.partial, [one.files for one in requests]), show_ids=config.show_ids)
    write_frame(places.studies, studies, private=True)
    write_frame(places.views, views, private=True)


def _written(places: _Places, remarks: tuple[str, ...], ensemble: Ensemble, *, skipped: bool) -> Predicted:
    files = (places.studies, places.views)
    studies, views = (read_frame(path, texts=TEXTS, needs=("study",)) for path in files)
    return Predicted(skipped, studies, views, files, remarks, ensemble.caveats)
