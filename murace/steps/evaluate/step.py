"""Every model on the test split: probabilities, what can be said about them and how surely, and the report."""

import shutil
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from murace.config import EvaluateConfig, Machine, params
from murace.data.store import COLUMNS, IDS, read_frame, read_index, write_frame
from murace.errors import UsageError
from murace.inference import readout as operating
from murace.metrics.analysis import Analysis, analyse
from murace.metrics.decisions import operating_table
from murace.metrics.slices import with_slices
from murace.metrics.table import by_study
from murace.report.card import model_card
from murace.report.contents import Contents
from murace.report.page import figures, render, tables
from murace.report.text.latex import latex, table_csv
from murace.steps.evaluate.contents import contents, flow
from murace.steps.evaluate.inputs import Lineup, require_lineup, validation
from murace.steps.evaluate.pictures import pictures
from murace.steps.evaluate.predictions import Answers, ask_all, help_asking, known_answers
from murace.system import device
from murace.system.files import write_bytes, write_text
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.vocabulary import Split, closest
from murace.workspace import Rerun, StepRun, commit, decide, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import Workspace

TABLES = (*(item.name for item in fields(Analysis)), "operating", "flow")
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found: its `tables` by name (`scores` is Table 3, long), and where the report is."""

    skipped: bool
    tables: Frames
    models: tuple[str, ...]
    report: Path
    notes: tuple[str, ...]


def run(
    workspace: Workspace, config: EvaluateConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter
) -> Evaluated:
    """Evaluate every trained learner, the pair's mean and the calibrated ensemble, each net once over its images.

    An interrupted run keeps the probabilities of the nets that it has been through; a run that only asks for other
    resamples or slices asks no net again. Of several processes each asks the nets about its share of the images.

    Raises:
        MachineError, WorkspaceError, UsageError, Interrupted: see their classes.
    """
    processes = process_group()
    chosen, remark = device.choose(machine)
    if not processes.leads:
        device.set_threads(machine)
        help_asking(workspace, chosen, reporter)
        return _found(workspace, require_lineup(workspace), skipped=False)
    lineup = require_lineup(workspace)
    index = read_index(workspace.prepare.index)
    test = index[index["split"] == Split.TEST]
    _check_slices(index, config)
    with_slices(test, config.slice)  # refuses one that is none before anything is asked
    folder = workspace.evaluate
    with writing(folder.folder):
        step_run = StepRun(
            folder=folder.folder,
            step="evaluate",
            params=params(config),
            consumed=lineup.consumed,
            scratch=folder.partial,
        )
        plan = decide(step_run, rerun)
        if not plan.skips:
            require_pixels(workspace)
            known = None if rerun.force or rerun.resume is False else known_answers(workspace, lineup, test)
            plan.begin(reporter)
            if remark:
                reporter.say(remark)
            device.set_threads(machine)
            answers = known or ask_all(workspace, lineup, test, chosen, reporter)
            frames = _analyse(workspace, config, lineup, answers, reporter) | {"flow": flow(index)}
            _write(workspace, config, lineup, answers, frames)
    processes.broadcast({"done": True})
    return _found(workspace, lineup, skipped=plan.skips)


def _found(workspace: Workspace, lineup: Lineup, *, skipped: bool) -> Evaluated:
    """What stands in the folder."""
    folder = workspace.evaluate
    found = {name: read_frame(folder.table(name)) for name in TABLES}
    return Evaluated(skipped, found, tuple(lineup.models), folder.report, lineup.notes)


def _check_slices(index: pd.DataFrame, config: EvaluateConfig) -> None:
    """Only the user's own columns: ids must not stand in slices, and the groups have their tables."""
    own = [name for name in index.columns if name not in COLUMNS]
    for name in config.slice:
        if name not in own:
            hint = closest(name, own) if own else "; the data have no column of their own"
            raise UsageError(f"--slice: '{name}' is not a column to slice by{hint}")


def _analyse(
    workspace: Workspace, config: EvaluateConfig, lineup: Lineup, answers: Answers, reporter: Reporter
) -> Frames:
    """Freeze temperatures and operating points on validation, apply them to test, and analyse."""
    models = lineup.models
    known = validation(workspace, lineup)
    operating.save(workspace.evaluate.operating, operating.fit(known, models, lineup.weights))
    readouts = operating.load(workspace.evaluate.operating, lineup.weights)
    images = operating.apply(answers.images, readouts)
    found = analyse(
        images,
        models,
        groups=sorted(lineup.members),
        slices=config.slice,
        calibrated={model: operating.column_of(model) for model in models},
        bootstrap=config.bootstrap,
        reporter=reporter,
    )
    frames = _frames(found)
    keep = ("patient", "group", "label")
    points = {model: readout.points for model, readout in readouts.items()}
    splits = {Split.VALIDATION: (known, None), Split.TEST: (images, config.bootstrap)}
    frames["operating"] = pd.concat(
        [
            operating_table(by_study(part, models, keep), points, split=str(split), bootstrap=bootstrap)
            for split, (part, bootstrap) in splits.items()
        ],
        ignore_index=True,
    )
    frames["calibration"] = pd.concat([frames["calibration"], operating.temperatures(readouts)], ignore_index=True)
    frames["predictions"] = _predictions(images, models)
    return frames


def _frames(found: Analysis) -> Frames:
    return {item.name: getattr(found, item.name) for item in fields(found)}


def _predictions(images: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """`predictions.csv`: ids, columns of the user's, raw probabilities, calibrated ones."""
    rescaled = [operating.column_of(model) for model in models]
    extra = [name for name in images.columns if name not in {*COLUMNS, *models, *rescaled}]
    return images[[*IDS, *extra, *models, *rescaled]]


def _write(workspace: Workspace, config: EvaluateConfig, lineup: Lineup, answers: Answers, frames: Frames) -> None:
    """The files of the step, and its record last."""
    folder = workspace.evaluate
    drawn = pictures(workspace, answers.images, list(lineup.learners.values()))
    shown = {name: frame for name, frame in frames.items() if name not in ("predictions", "flow")}
    page = contents(workspace, list(lineup.learners), config, tables=shown, pictures=drawn)
    write_frame(folder.predictions, frames["predictions"], private=True)
    for name in TABLES:
        write_frame(folder.table(name), frames[name])
    written = ["predictions.csv", "operating.json", *(f"{name}.csv" for name in TABLES), *_publish(workspace, page)]
    studies = int(answers.images["study"].nunique())
    info = {"models": lineup.models, "images": len(answers.images), "studies": studies}
    commit(folder.folder, written, device=answers.device, info=info)
    shutil.rmtree(folder.partial, ignore_errors=True)


def _publish(workspace: Workspace, page: Contents) -> list[str]:
    """The report, its figures, its tables as LaTeX and csv, and the model card; their names in the folder."""
    folder, drawings = workspace.evaluate, figures(page)
    texts = {folder.report: render(page, drawings), folder.card: model_card(page)}
    for key, table in tables(page).items():
        texts |= {folder.tables / f"{key}.tex": latex(table), folder.tables / f"{key}.csv": table_csv(table)}
    for name, drawing in drawings.items():
        write_bytes(folder.figures / name, drawing)
    for path, text in texts.items():
        write_text(path, text)
    paths = [*(folder.figures / name for name in drawings), *texts]
    return [path.relative_to(folder.folder).as_posix() for path in paths]
