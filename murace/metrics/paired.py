"""Is the difference between two models real? Paired tests on the same cases, and p-values corrected for many of them.

DeLong's and McNemar's tests take the cases as independent of each other. Studies of one patient are not, nor are the
images of one study; where patients have several cases their p-values tend to be too small. The bootstrap over patients
(`bootstrap_p`) makes no such assumption.

Own code: neither scipy nor scikit-learn has DeLong's test.
"""

import math

import numpy as np
import numpy.typing as npt

NAN = float("nan")

Labels = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]


def delong(labels: Labels, first: Values, second: Values) -> float:
    """Compare two areas under the ROC curve of the same cases: the two-sided p-value.

    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach", Biometrics 44 (1988) 837-845, with the normal p-value. The
    cases are taken as independent. p is NaN where a class has no case or a single one, or where the estimated variance
    is 0 and the areas differ. Otherwise two models that put every pair of an abnormal and a normal case in the same
    order, among them any two that separate the classes, have p = 1.

    Args:
        labels: 0 or 1 [N].
        first: probabilities [N] of the first model.
        second: probabilities [N] of the second model.

    Raises:
        ValueError: a probability is not finite.
    """
    abnormal, normal = _placements(labels, np.stack([first, second], axis=1))
    # Subtracting the exact counts of each case, not the areas, leaves no rounding in a variance that is 0.
    area, variance = _moments(abnormal[:, :1] - abnormal[:, 1:], normal[:, :1] - normal[:, 1:])
    difference, error = float(area[0]), math.sqrt(variance[0, 0])
    if error > 0:
        return math.erfc(abs(difference) / error / math.sqrt(2))
    return 1.0 if error == difference == 0 else NAN


def mcnemar(first_right: Truths, second_right: Truths) -> float:
    """Compare two accuracies on the same cases by the cases that one of the models alone has right: the p-value.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157, with the exact binomial p-value (twice the smaller tail, at most 1) instead of the
    approximation by chi-squared. The cases are taken as independent. p is 1 where no case is decided differently, and
    NaN without a case.

    Args:
        first_right: whether the first model decided rightly [N].
        second_right: whether the second model did [N].
    """
    if not len(first_right):
        return NAN
    return _sign_p(int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum()))


def holm(p: Values) -> Values:
    """Adjust p-values [K] for being K, step down; the chance of one false positive among them stays at the level.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
    Tests may depend on each other. NaN stays NaN and does not count as a test.
    """
    adjusted = np.full(len(p), NAN)
    defined = np.flatnonzero(~np.isnan(p))
    order = defined[np.argsort(p[defined], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def bootstrap_p(differences: Values) -> float:
    """Two-sided p-value from differences [R] in paired bootstrap resamples: how often they leave their side of 0.

    min(1, 2 (1 + min(#d <= 0, #d >= 0)) / (R' + 1)) over the R' defined ones: the level at which the percentile
    interval would just touch 0 (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 13 and 15),
    counting the sample itself so that p is never 0 (Davison and Hinkley, "Bootstrap methods and their application",
    1997, section 4.2). It assumes what the resampling assumed. NaN where fewer than half of the R are defined.
    """
    defined = differences[~np.isnan(differences)]
    if not len(defined) or 2 * len(defined) < len(differences):
        return NAN
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (len(defined) + 1))


def _placements(labels: Labels, probabilities: Values) -> tuple[Values, Values]:
    """For each abnormal case how many normal ones it exceeds, for each normal case how many abnormal ones exceed it.

    A tie counts one half. These are the structural components of DeLong et al. times the size of the other class: [P,
    M] and [Q, M] for P abnormal and Q normal cases. Like the midranks of Sun and Xu, "Fast implementation of DeLong's
    algorithm", IEEE Signal Processing Letters 21 (2014) 1389-1393, they take sorting, O(N log N), not all P x Q pairs.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("a probability is not a finite number")
    abnormal, normal = probabilities[labels == 1], probabilities[labels != 1]
    return _exceeded(abnormal, normal), _exceeded(-normal, -abnormal)


def _exceeded(cases: Values, others: Values) -> Values:
    """For each of `cases` [P, M] how many of `others` [Q, M] it exceeds, in each column; a tie counts one half."""
    counts = np.empty(cases.shape)
    for column, ordered in enumerate(np.sort(others, axis=0).T):
        below = np.searchsorted(ordered, cases[:, column], side="left")
        counts[:, column] = (below + np.searchsorted(ordered, cases[:, column], side="right")) / 2
    return counts


def _moments(abnormal: Values, normal: Values) -> tuple[Values, Values]:
    """The areas [M] and the covariance of their estimates [M, M] from the placements [P, M] and [Q, M].

    Equations 1 to 6 of DeLong et al. (1988). Areas are NaN where the labels have one class, the covariance is NaN also
    where a class has a single case.
    """
    (positive, models), negative = abnormal.shape, len(normal)
    if not positive or not negative:
        return np.full(models, NAN), np.full((models, models), NAN)
    area = abnormal.sum(axis=0) / (positive * negative)
    if positive == 1 or negative == 1:
        return area, np.full((models, models), NAN)
    among_abnormal = np.atleast_2d(np.cov(abnormal, rowvar=False)) / (positive * negative**2)
    return area, among_abnormal + np.atleast_2d(np.cov(normal, rowvar=False)) / (negative * positive**2)


def _sign_p(first: int, second: int) -> float:
    """Two-sided exact p-value of `first` against `second` under a fair coin, in whole numbers until the end."""
    total = first + second
    term, tail = 1, 0
    for drawn in range(min(first, second) + 1):
        tail += term
        term = term * (total - drawn) // (drawn + 1)
    return min(2 * tail, 1 << total) / (1 << total)
