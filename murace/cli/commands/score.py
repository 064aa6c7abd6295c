"""`murace score`."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from murace.cli import options
from murace.cli.display.console import running
from murace.config import Bootstrap, EvaluateConfig
from murace.vocabulary import Level

DEFAULT = Bootstrap()
Table = Annotated[
    Path,
    typer.Argument(
        metavar="PREDICTIONS",
        help="Csv file with label, columns of probabilities and, as far as known, study, patient and group.",
        show_default=False,
    ),
]


def score(
    predictions: Table,
    models: options.Models = None,
    slices: options.Slices = None,
    resamples: options.Resamples = DEFAULT.resamples,
    seed: options.Seed = DEFAULT.seed,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Score any table of predictions as evaluate scores its own: intervals, comparisons, calibration, slices.

    A row is an image. Every column is a model but row, path, patient, study, group, label, the slices, and split,
    width, height and sha256; `NAME_calibrated` beside `NAME` is that model after calibration. A model called
    `calibrated` is compared with each other one; without it, all pairs are. Nothing is written.

    Example: murace score predictions.csv --models mine,theirs --slice hardware
    """
    with running(quiet=quiet, as_json=as_json, workspace=None) as console:
        config = EvaluateConfig(bootstrap=Bootstrap(resamples=resamples, seed=seed), slice=tuple(slices or ()))
        from murace.cli.display.evidence import (
            baseline_lines,
            calibration_table,
            comparisons_table,
            records,
            slices_table,
            undefined_notes,
        )
        from murace.cli.display.tables import scores_table
        from murace.steps import score as step

        done = step.run(
            predictions, models=models or (), slices=config.slice, bootstrap=config.bootstrap, reporter=console
        )
        for note in done.notes:
            console.warn(note)
        for note in undefined_notes(done.analysis.intervals):
            console.say(note)
        found = done.analysis
        for level in (Level.STUDY, Level.IMAGE):
            scores, title = found.scores[found.scores["level"] == str(level)], f"Scores by {level}, with 95 % intervals"
            console.show(scores_table(scores, done.models, title=title))
        console.show(*baseline_lines(found.baselines, found.comparisons))
        console.show(*comparisons_table(found.comparisons), calibration_table(found.calibration))
        console.show(*slices_table(found.slices, done.models))
        tables = {item.name: records(getattr(found, item.name)) for item in fields(found)}
        console.result({"command": "score", "models": done.models, "notes": done.notes, **tables})
