"""Score any csv of predictions, without a workspace: intervals, comparisons, calibration and slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.config import Bootstrap
from murace.data.tables.predictions import Predictions, read_predictions
from murace.metrics.analysis import Analysis, analyse
from murace.metrics.baselines import with_cross_fitted_baselines
from murace.metrics.slices import small_notes
from murace.system.progress import Reporter


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scored:
    """The analysis of the models of a csv; `notes` are to be read before it."""

    analysis: Analysis
    models: tuple[str, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def run(
    path: Path, *, models: Sequence[str] = (), slices: Sequence[str] = (), bootstrap: Bootstrap, reporter: Reporter
) -> Scored:
    """Score the models of a csv of predictions, as `evaluate` scores its own.

    Args:
        path: the csv file.
        models: the columns to take as models; none: every column that is neither known nor a slice.
        slices: the columns to slice by, besides the number of views and the image size.
        bootstrap: how the intervals are made.
        reporter: is given progress and messages.

    Raises:
        DataError, UsageError, Interrupted: see their classes.
    """
    predictions = read_predictions(path, models=models, slices=slices, reporter=reporter)
    reporter.check()
    reporter.say(_size(predictions, bootstrap))
    after = "".join(f"; {column} is {model} after calibration" for model, column in predictions.calibrated.items())
    reporter.say(f"models: {', '.join(predictions.models)}{after}")  # one that is none is not scored unnoticed
    images, baselines = with_cross_fitted_baselines(predictions.images, slices, seed=bootstrap.seed)
    analysis = analyse(
        images,
        predictions.models,
        groups=predictions.groups,
        slices=slices,
        baselines=baselines,
        calibrated=predictions.calibrated,
        bootstrap=bootstrap,
        reporter=reporter,
    )
    return Scored(
        analysis=analysis,
        models=predictions.models,
        groups=predictions.groups,
        notes=(*predictions.notes, *small_notes(analysis.support, analysis.slices)),
    )


def _size(predictions: Predictions, bootstrap: Bootstrap) -> str:
    images = predictions.images
    counted = {"image": len(images), "study": images["study"].nunique(), "patient": images["patient"].nunique()}
    plurals = {"image": "images", "study": "studies", "patient": "patients"}
    parts = ", ".join(f"{count:,} {name if count == 1 else plurals[name]}" for name, count in counted.items())
    return f"{parts}; {bootstrap.resamples:,} resamples of the patients"
