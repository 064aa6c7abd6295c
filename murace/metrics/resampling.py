"""Bootstrap over patients: confidence intervals of scores; studies and images are resampled with their patient.

Own code: scipy.stats.bootstrap resamples cases, not clusters of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.scores import Labels, Probabilities, Values, Weights, measure, rank
from murace.system.progress import Reporter

CHUNK, LEAST_CHUNK = 2**17, 16  # weights at a time (1 MB stays in the cache), but so many resamples at least
COVERAGE = 0.95
LEAST_PATIENTS = 2  # one patient drawn anew is the same patient; so is the only one with a case of a class
BOTH = (0, 1)
CLASSES = {
    "recall": (1,),
    "f1": (1,),
    "specificity": (0,),
    **dict.fromkeys(("auc", "average_precision", "kappa", "mcc"), BOTH),
}


@dataclass(frozen=True, eq=False)
class Estimate:
    """The measures of M models on N cases: as they are [M], and in every resample [R, M]; R is 0 for a single patient.

    In resamples a measure is undefined throughout where a class that it needs occurs in one patient alone: that class
    would always be drawn as it is, or not at all.
    """

    labels: Labels
    probabilities: Probabilities
    value: dict[str, Values]
    resampled: dict[str, Values]


def estimate(
    cases: pd.DataFrame, models: Sequence[str], bootstrap: Bootstrap | None, reporter: Reporter | None = None
) -> Estimate:
    """Measure models on cases and on resamples of their patients.

    Args:
        cases: columns patient, label and one per model, a row per study or image.
        models: the probability columns.
        bootstrap: the number of resamples, and the seed; None for the values alone.
        reporter: asked between resamples whether to stop.

    Raises:
        Interrupted: a signal came.
    """
    labels = cases["label"].to_numpy(dtype=np.int64)
    probabilities = cases[list(models)].to_numpy(dtype=np.float64)
    value = {name: row[0] for name, row in measure(labels, probabilities, np.ones((1, len(labels)))).items()}
    drawn = resamples(cases["patient"], bootstrap, reporter) if bootstrap else []
    rankings = rank(probabilities)
    parts = [measure(labels, probabilities, weights, rankings) for weights in drawn]
    none = np.empty((0, len(models)))
    resampled = {name: np.concatenate([none, *(part[name] for part in parts)]) for name in value}
    holders = cases.groupby("label")["patient"].nunique()
    for name, classes in CLASSES.items():
        if any(holders.get(label, 0) < LEAST_PATIENTS for label in classes):
            resampled[name][:] = np.nan
    return Estimate(labels, probabilities, value, resampled)


def resamples(patients: "pd.Series[str]", bootstrap: Bootstrap, reporter: Reporter | None = None) -> Iterator[Weights]:
    """Yield weights [r, N] until there are R: how often each case's patient was drawn among as many as there are.

    The draws depend on the seed and the number of patients alone: models, levels and runs see the same resamples.
    """
    codes, names = pd.factorize(patients, sort=True)
    if len(names) < LEAST_PATIENTS:
        return
    generator, count = np.random.default_rng(bootstrap.seed), len(names)
    size = max(LEAST_CHUNK, CHUNK // len(codes))
    for start in range(0, bootstrap.resamples, size):
        if reporter is not None:
            reporter.check()
        rows = range(start, min(start + size, bootstrap.resamples))
        drawn = [np.bincount(generator.integers(count, size=count), minlength=count) for _ in rows]
        yield np.stack(drawn)[:, codes].astype(np.float64)


def interval(resampled: Values) -> tuple[Values, Values, npt.NDArray[np.int64]]:
    """The percentile interval (Efron 1981) of each column of [R, M], and in how many resamples it was undefined.

    Returns:
        low [M], high [M] over the defined resamples (NaN where they are fewer than half: what is left would be a choice
        of the lucky ones), and the number of the undefined [M].
    """
    undefined = np.isnan(resampled).sum(axis=0)
    tail = (1 - COVERAGE) / 2
    bounds = np.full((2, resampled.shape[1]), np.nan)
    for column, values in enumerate(resampled.T):
        defined = values[~np.isnan(values)]
        if len(defined) and 2 * len(defined) >= len(values):
            bounds[:, column] = np.quantile(defined, [tail, 1 - tail])
    return bounds[0], bounds[1], undefined
