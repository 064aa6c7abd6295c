"""Bootstrap over patients: how a score would vary had others come; studies and images move with their patient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.config import Bootstrap
from murace.metrics.scores import Labels, Probabilities, Values, Weights, measure

CHUNK = 2**20  # weights at a time: 8 MB, so that they stay in the cache
COVERAGE = 0.95
LEAST_PATIENTS = 2  # one patient drawn anew is the same patient


@dataclass(frozen=True, eq=False)
class Estimate:
    """The measures of M models on N cases: as they are [M], and in every resample [R, M]; R is 0 without patients."""

    labels: Labels
    probabilities: Probabilities
    value: dict[str, Values]
    resampled: dict[str, Values]


def estimate(cases: pd.DataFrame, models: Sequence[str], bootstrap: Bootstrap | None) -> Estimate:
    """Measure models on cases and on resamples of their patients.

    Args:
        cases: columns patient, label and one per model, a row per study or image.
        models: the probability columns.
        bootstrap: the number of resamples, and the seed; None for the values alone.
    """
    labels = cases["label"].to_numpy(dtype=np.int64)
    probabilities = cases[list(models)].to_numpy(dtype=np.float64)
    value = {name: row[0] for name, row in measure(labels, probabilities, np.ones((1, len(labels)))).items()}
    drawn = resamples(cases["patient"], bootstrap) if bootstrap else []
    parts = [measure(labels, probabilities, weights) for weights in drawn]
    none = np.empty((0, len(models)))
    return Estimate(
        labels, probabilities, value, {name: np.concatenate([none, *(part[name] for part in parts)]) for name in value}
    )


def resamples(patients: "pd.Series[str]", bootstrap: Bootstrap) -> Iterator[Weights]:
    """Yield weights [r, N] until there are R: how often each case's patient was drawn among as many as there are.

    The draws depend on the seed and the number of patients alone: models, levels and runs see the same resamples.
    """
    codes, names = pd.factorize(patients, sort=True)
    if len(names) < LEAST_PATIENTS:
        return
    draws = _draw(len(names), bootstrap)
    size = max(1, CHUNK // len(codes))
    for start in range(0, bootstrap.resamples, size):
        yield draws[start : start + size][:, codes].astype(np.float64)


@lru_cache(maxsize=2)
def _draw(patients: int, bootstrap: Bootstrap) -> npt.NDArray[np.uint16]:
    """How often each of C patients is drawn when C are drawn with replacement, [R, C]."""
    generator = np.random.default_rng(bootstrap.seed)
    drawn = [
        np.bincount(generator.integers(patients, size=patients), minlength=patients) for _ in range(bootstrap.resamples)
    ]
    return np.stack(drawn).astype(np.uint16)


def interval(resampled: Values) -> tuple[Values, Values, npt.NDArray[np.int64]]:
    """The percentile interval (Efron 1981) of each column of [R, M], and in how many resamples it was undefined.

    Returns:
        low [M], high [M] over the defined resamples (NaN where there is none), and the undefined ones [M].
    """
    undefined = np.isnan(resampled).sum(axis=0)
    tail = (1 - COVERAGE) / 2
    bounds = np.full((2, resampled.shape[1]), np.nan)
    for column, values in enumerate(resampled.T):
        defined = values[~np.isnan(values)]
        if len(defined):
            bounds[:, column] = np.quantile(defined, [tail, 1 - tail])
    return bounds[0], bounds[1], undefined
