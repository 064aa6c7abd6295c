"""Evaluate every model on the test split: probabilities, scores with intervals, calibration, and the report."""

import shutil
from dataclasses import fields

import pandas as pd

from murace.config import EvaluateConfig, Machine
from murace.data.store import COLUMNS, IDS, read_index, write_frame
from murace.errors import UsageError
from murace.inference import operating_points as operating
from murace.metrics.analysis import analyse
from murace.metrics.baselines import with_baselines
from murace.metrics.slices import with_slices
from murace.metrics.table import by_study
from murace.metrics.threshold import operating_table
from murace.report.card import model_card
from murace.report.contents import Contents
from murace.report.figures import figures
from murace.report.page import render, tables
from murace.report.text.latex import latex, table_csv
from murace.steps.evaluate.contents import contents, flow
from murace.steps.evaluate.inputs import (
    TABLES,
    Evaluated,
    EvaluationInputs,
    Frames,
    lacks_tables,
    read_result,
    require_inputs,
    validation,
)
from murace.steps.evaluate.pictures import pictures
from murace.steps.evaluate.predictions import ModelPredictions, predict_all, predict_as_follower, stored_predictions
from murace.system import device
from murace.system.files import write_bytes, write_text
from murace.system.processes import process_group
from murace.system.progress import Reporter
from murace.vocabulary import Split, closest
from murace.workspace import Action, Plan, Rerun, commit, decide, writing
from murace.workspace.chain import require_pixels
from murace.workspace.paths import OPERATING, PREDICTIONS, Workspace


def run(
    workspace: Workspace, config: EvaluateConfig, *, machine: Machine, rerun: Rerun, reporter: Reporter
) -> Evaluated:
    """Evaluate every trained learner, the pair's mean and the calibrated ensemble, each net once over its images.

    An interrupted run keeps the probabilities of the nets that it has been through; a run with other resamples or
    slices runs no net again. Of several processes each predicts its share of the images.

    Raises:
        MachineError, WorkspaceError, UsageError, Interrupted: see their classes.
    """
    processes = process_group()
    chosen, remark = device.choose(machine)
    if not processes.leads:
        device.set_threads(machine)
        predict_as_follower(workspace, chosen, reporter)
        return read_result(workspace, require_inputs(workspace), skipped=False)
    inputs = require_inputs(workspace)
    index = read_index(workspace.prepare.index)
    test = index[index["split"] == Split.TEST]
    _check_slices(index, config)
    with_slices(test, config.slice)  # refuses one that is none before anything is predicted
    folder = workspace.evaluate
    with writing(folder.folder):
        plan = decide(inputs.step_run(workspace, config), rerun)
        if plan.skips and lacks_tables(workspace):
            plan = Plan(plan.run, Action.RUN, ("made by an older murace, with fewer tables; the predictions are kept",))
        if not plan.skips:
            require_pixels(workspace)
            afresh = rerun.force or rerun.resume is False
            stored = None if afresh else stored_predictions(workspace, inputs, test)
            plan.begin(reporter)
            if remark:
                remark.tell(reporter)
            device.set_threads(machine)
            predictions = stored or predict_all(workspace, inputs, test, chosen, reporter)
            frames = _analyse(workspace, config, inputs, index, predictions, reporter) | {"flow": flow(index)}
            _write(workspace, config, inputs, predictions, frames)
    processes.broadcast({"done": True})
    return read_result(workspace, inputs, skipped=plan.skips)


def _check_slices(index: pd.DataFrame, config: EvaluateConfig) -> None:
    """Only the user's own columns: ids must not stand in slices, and the groups have their tables."""
    own = [name for name in index.columns if name not in COLUMNS]
    for name in config.slice:
        if name not in own:
            hint = closest(name, own) if own else "; the data have no column of their own"
            raise UsageError(f"--slice: '{name}' is not a column to slice by{hint}")


def _analyse(
    workspace: Workspace,
    config: EvaluateConfig,
    inputs: EvaluationInputs,
    index: pd.DataFrame,
    predictions: ModelPredictions,
    reporter: Reporter,
) -> Frames:
    """Freeze temperatures and operating points on validation, apply them to test, and analyse."""
    models = inputs.models
    known = validation(workspace, inputs)
    operating.save(workspace.evaluate.operating, operating.fit(known, models, inputs.weights))
    readouts = operating.load(workspace.evaluate.operating, inputs.weights)
    images = operating.apply(predictions.images, readouts)
    labelled = index[index["split"] != Split.TEST]
    beside, baselines = with_baselines(images, labelled, config.slice)
    found = analyse(
        beside,
        models,
        groups=sorted(inputs.members),
        slices=config.slice,
        baselines=baselines,
        calibrated={model: operating.column_of(model) for model in models},
        bootstrap=config.bootstrap,
        reporter=reporter,
    )
    frames = {item.name: getattr(found, item.name) for item in fields(found)}
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


def _predictions(images: pd.DataFrame, models: list[str]) -> pd.DataFrame:
    """`predictions.csv`: ids, columns of the user's, raw probabilities, calibrated ones."""
    rescaled = [operating.column_of(model) for model in models]
    extra = [name for name in images.columns if name not in {*COLUMNS, *models, *rescaled}]
    return images[[*IDS, *extra, *models, *rescaled]]


def _write(
    workspace: Workspace,
    config: EvaluateConfig,
    inputs: EvaluationInputs,
    predictions: ModelPredictions,
    frames: Frames,
) -> None:
    """The files of the step, and its record last."""
    folder = workspace.evaluate
    drawn = pictures(workspace, predictions.images, list(inputs.learners.values()))
    shown = {name: frame for name, frame in frames.items() if name not in ("predictions", "flow")}
    page = contents(workspace, list(inputs.learners), config, tables=shown, pictures=drawn)
    write_frame(folder.predictions, frames["predictions"], private=True)
    for name in TABLES:
        write_frame(folder.table(name), frames[name])
    written = [PREDICTIONS, OPERATING, *(folder.table(name).name for name in TABLES), *_publish(workspace, page)]
    studies = int(predictions.images["study"].nunique())
    info = {"models": inputs.models, "images": len(predictions.images), "studies": studies}
    commit(folder.folder, written, device=predictions.device, info=info)
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
