"""Calibration slope and calibration-in-the-large of probabilities, over many resamples at once.

Cox, Two further applications of a model for binary regression, Biometrika 45, 1958; Van Calster et al., Calibration:
the Achilles heel of predictive analytics, BMC Medicine 17, 2019. The ideal slope is 1 (below 1: too sure), the ideal
intercept 0 (below 0: abnormality is overestimated).
"""

import numpy as np
import numpy.typing as npt

from murace.metrics.temperature import log_odds

ROWS = 64  # of weights at a time: with 1,200 cases an array of them stays in the cache
ROUNDS, CLOSE, LONGEST = 100, 1e-8, 5.0  # of Newton's steps: how many, the last one's length, the longest

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def slope(labels: Integers, probabilities: Floats, weights: Floats) -> Floats:
    """Fit b of logit P(abnormal) = a + b logit(p) by maximum likelihood in each resample.

    Args:
        labels: 0 or 1, [N].
        probabilities: [N], 0 to 1; held away from 0 and 1 as in `log_odds`.
        weights: how often each case was drawn, [R, N].

    Returns:
        b, [R]; NaN where a resample has one class, where its classes do not overlap in p (no finite b, or no spread of
        p at all), or where no solution was found.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """
    odds = log_odds(probabilities)
    scale = float(odds.std()) if len(odds) else 0.0
    if not scale > 0:
        return np.full(len(weights), np.nan)
    design = np.stack([np.ones_like(odds), (odds - odds.mean()) / scale], axis=1)
    fitted = _fit(design, np.zeros_like(odds), labels, weights, defined=_overlap(labels, odds, weights))
    return fitted[:, 1] / scale


def intercept(labels: Integers, probabilities: Floats, weights: Floats) -> Floats:
    """Fit a of logit P(abnormal) = a + logit(p) by maximum likelihood in each resample: calibration-in-the-large.

    Arguments and errors as in `slope`. Returns a, [R]; NaN where a resample has one class or no solution was found.
    """
    odds = log_odds(probabilities)
    both = (weights @ (labels == 1) > 0) & (weights @ (labels != 1) > 0)
    return _fit(np.ones((len(odds), 1)), odds, labels, weights, defined=both)[:, 0]


def _overlap(labels: Integers, odds: Floats, weights: Floats) -> npt.NDArray[np.bool_]:
    """Whether each resample has abnormal cases both above some normal one and below some normal one."""
    ends = []
    for label in (0, 1):
        mine = labels == label
        drawn, values = weights[:, mine] > 0, odds[mine]
        ends.append(np.where(drawn, values, np.inf).min(axis=1, initial=np.inf))
        ends.append(np.where(drawn, values, -np.inf).max(axis=1, initial=-np.inf))
    lowest_normal, highest_normal, lowest_abnormal, highest_abnormal = ends
    overlapping: npt.NDArray[np.bool_] = (highest_normal > lowest_abnormal) & (highest_abnormal > lowest_normal)
    return overlapping


def _fit(
    design: Floats, offset: Floats, labels: Integers, weights: Floats, *, defined: npt.NDArray[np.bool_]
) -> Floats:
    """Fit logistic regressions of labels on design [N, K] plus offset [N], one per row of weights: [R, K]."""
    result = np.full((len(weights), design.shape[1]), np.nan)
    rows = np.flatnonzero(defined)
    if not len(rows):
        return result
    # A resample that has a solution implies one of all cases together: a start close to every other.
    start = _newton(design, offset, labels, np.ones((1, len(labels))), np.zeros(design.shape[1]))[0]
    for first in range(0, len(rows), ROWS):
        part = rows[first : first + ROWS]
        result[part] = _newton(design, offset, labels, weights[part], np.nan_to_num(start))
    return result


def _newton(design: Floats, offset: Floats, labels: Integers, weights: Floats, start: Floats) -> Floats:
    """Climb the likelihood of every row of weights [R, N] together, from start [K]; NaN where a row does not arrive.

    A step is halved while the likelihood falls at its end nearly as steeply as it rose at its start: the likelihood is
    concave, so this is a line search that needs no likelihood.
    """
    K = design.shape[1]
    products = np.einsum("nk,nl->nkl", design, design).reshape(len(design), K * K)
    result = np.full((len(weights), K), np.nan)
    row, target = np.arange(len(weights)), (weights * labels) @ design
    point, step, promised = np.tile(start, (len(row), 1)), np.zeros((len(row), K)), np.full(len(row), np.inf)
    for _ in range(ROUNDS):
        p = _sigmoid((point + step) @ design.T + offset)
        expected = weights * p
        gradient = target - expected @ design
        accepted = (gradient * step).sum(axis=1) > -0.9 * promised
        newton = _solve(((expected * (1 - p)) @ products).reshape(-1, K, K), gradient)
        point = np.where(accepted[:, None], point + step, point)
        step = np.where(accepted[:, None], newton, step / 2)
        promised = np.where(accepted, (gradient * newton).sum(axis=1), promised / 2)
        arrived = accepted & (np.abs(step).max(axis=1) < CLOSE)
        result[row[arrived]] = (point + step)[arrived]
        if arrived.all():
            break
        if arrived.any():
            row, weights, target, point, step, promised = (
                values[~arrived] for values in (row, weights, target, point, step, promised)
            )
    return result


def _sigmoid(odds: Floats) -> Floats:
    with np.errstate(over="ignore"):  # an infinite exponential gives the right 0
        return np.asarray(1 / (1 + np.exp(-odds)))


def _solve(information: Floats, gradient: Floats) -> Floats:
    """Newton's steps [R, K], none longer than `LONGEST`; a ridge of rounding's size keeps flat places solvable."""
    size = np.trace(information, axis1=1, axis2=2)
    ridge = (1e-12 * size + 1e-200)[:, None, None] * np.eye(gradient.shape[1])
    step = np.linalg.solve(information + ridge, gradient[:, :, None])[:, :, 0]
    return np.asarray(step / np.maximum(1, np.abs(step).max(axis=1, keepdims=True) / LONGEST))
