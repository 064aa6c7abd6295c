"""Reliability diagram: mean probability against observed frequency of abnormal cases, in bins of equal mass."""

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd

BINS = 10
COLUMNS = ["bin", "cases", "mean", "observed", "low", "high"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def bins_of(probabilities: Floats) -> Integers:
    """Put cases into ten bins of equal mass, numbered from 0.

    The edges are the linearly interpolated quantiles 1/10, 2/10, ...; a bin holds lower edge < p <= upper edge, as
    in scikit-learn's ``calibration_curve(strategy="quantile")``. Equal probabilities thus share a bin, and where there
    are many of them, some bins stay empty.

    Args:
        probabilities: [N], 0 to 1.

    Returns:
        The bin of each case, [N], 0 to 9.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not between 0 and 1")
    if not len(probabilities):
        return np.empty(0, dtype=np.int64)
    edges = np.percentile(probabilities, np.linspace(0, 1, BINS + 1) * 100)
    return np.searchsorted(edges[1:-1], probabilities).astype(np.int64)


def reliability_curve(labels: Integers, probabilities: Floats) -> pd.DataFrame:
    """Compare the mean probability of each of ten bins with the share of abnormal cases in it.

    DeGroot & Fienberg, The comparison and evaluation of forecasters, The Statistician 32, 1983; bins as in `bins_of`.

    Args:
        labels: 0 or 1, [N].
        probabilities: [N], 0 to 1.

    Returns:
        A row per bin that is not empty: `bin` (0 to 9), `cases`, `mean` (of the probability), `observed` (share
        abnormal) and its Wilson 95 % interval `low`, `high`. The interval describes the count in the bin: it takes the
        cases as independent, which studies of one patient are not quite.
    """
    place = bins_of(probabilities)
    cases = np.bincount(place, minlength=BINS)
    filled = np.flatnonzero(cases)
    cases = cases[filled]
    abnormal = np.bincount(place, weights=labels, minlength=BINS)[filled].astype(np.float64)
    low, high = wilson(abnormal, cases.astype(np.float64))
    values = {
        "bin": filled.astype(np.int64),
        "cases": cases.astype(np.int64),
        "mean": np.bincount(place, weights=probabilities, minlength=BINS)[filled] / cases,
        "observed": abnormal / cases,
        "low": low,
        "high": high,
    }
    return pd.DataFrame(values, columns=COLUMNS)


def wilson(successes: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Give the 95 % score interval of shares (Wilson, Probable inference, JASA 22, 1927), no continuity correction.

    Args:
        successes: counts, any shape.
        n: of how many, same shape, each at least 1.

    Returns:
        The lower and the upper ends, in the shape of `successes`; exactly 0 where none and 1 where all succeeded.
    """
    z = NormalDist().inv_cdf(0.975)
    share = successes / n
    middle = share + z**2 / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    # At the two ends the formula gives 0 and 1 up to rounding only.
    low = np.where(successes == 0, 0.0, (middle - half) / scale)
    high = np.where(successes == n, 1.0, (middle + half) / scale)
    return low, high
