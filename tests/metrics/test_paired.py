import math
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from murace.metrics import paired
from murace.metrics.paired import bootstrap_p, delong, holm, mcnemar

pytestmark = pytest.mark.kernels
# DeLong et al. (1988), section 4: screening tests of patients with ovarian cancer and whether surgery would help them.
# The 43 complete records as SAS/STAT 14.1 User's Guide, Example 72.8, prints them: albumin, total protein, K-G score
# (lower is better, hence 10 - K-G below), label.
RECORDS = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0   3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0   1.6 5.6  5 1
3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1   4.1 6.6  5 1   3.6 5.7  5 1   4.3 7.0  4 1   3.6 6.7  4 0
2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1   3.8 6.8  7 1   3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1
3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1   3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0
3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1   3.5 6.2  5 1   2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1
3.3 5.7  6 1   3.7 6.9  5 1   3.6 6.6  5 1
"""
TABLE = np.array(RECORDS.split(), dtype=np.float64).reshape(-1, 4)
LABELS = TABLE[:, 3].astype(np.int64)
SCREENING = {"albumin": TABLE[:, 0], "protein": TABLE[:, 1], "kg": 10 - TABLE[:, 2]}

CASES = st.lists(st.tuples(st.integers(0, 1), *[st.integers(0, 6)] * 3), min_size=4, max_size=40)
P_VALUES = st.lists(st.one_of(st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=12)


def columns(cases: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and three columns of probabilities [N, 3] with many ties."""
    table = np.array(cases)
    return table[:, 0], table[:, 1:] / 6


def areas(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas [M] and covariance [M, M] as `delong` estimates them of differences."""
    return paired._moments(*paired._placements(labels, probabilities))


def structural_components(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas [M] and covariance [M, M] as DeLong et al. write them, over every pair of cases."""
    x, y = probabilities[labels == 1].T, probabilities[labels == 0].T
    pairs = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    area, of_x, of_y = pairs.mean(axis=(1, 2)), pairs.mean(axis=2), pairs.mean(axis=1)
    s10 = (of_x - area[:, None]) @ (of_x - area[:, None]).T / (x.shape[1] - 1)
    s01 = (of_y - area[:, None]) @ (of_y - area[:, None]).T / (y.shape[1] - 1)
    return area, s10 / x.shape[1] + s01 / y.shape[1]


# MLstatkit 0.1.91 (Delong_test) and pauc 0.2.2 (compare, paired) give these differences, variances and p-values.
@pytest.mark.parametrize(
    ("first", "second", "difference", "variance", "p"),
    [
        ("albumin", "kg", 0.010752688172043001, 0.009090405441862261, 0.9102063472010351),
        ("protein", "kg", -0.07795698924731176, 0.010943166051776873, 0.45613970750747357),
        ("albumin", "protein", 0.08870967741935476, 0.0031126605983525877, 0.11182821012069626),
    ],
)
def test_delong_on_the_data_of_its_paper_is_that_of_other_programs(
    first: str, second: str, difference: float, variance: float, p: float
) -> None:
    assert delong(LABELS, SCREENING[first], SCREENING[second]) == pytest.approx(p, rel=1e-9)
    area, covariance = areas(LABELS, np.stack([SCREENING[first], SCREENING[second]], axis=1))
    assert area[0] - area[1] == pytest.approx(difference, abs=1e-12)
    assert covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1] == pytest.approx(variance)


def test_the_covariance_gives_each_curve_the_interval_of_other_programs() -> None:
    area, covariance = areas(LABELS, np.stack(list(SCREENING.values()), axis=1))
    reach = 1.959963984540054 * np.sqrt(np.diag(covariance))
    # MLstatkit 0.1.91 (Delong_test): area and its 95 % interval, for albumin, total protein and K-G score.
    assert area == pytest.approx([0.7365591397849462, 0.6478494623655915, 0.7258064516129032])
    assert area - reach == pytest.approx([0.5548815599517445, 0.4517602094737053, 0.5242798011795496])
    assert area + reach == pytest.approx([0.918236719618148, 0.8439387152574777, 0.9273331020462569])


@given(CASES)
def test_delong_counts_what_its_paper_counts_over_all_pairs(cases: list[tuple[int, ...]]) -> None:
    labels, probabilities = columns(cases)
    assume(2 <= labels.sum() <= len(labels) - 2)
    area, covariance = areas(labels, probabilities)
    expected_area, expected_covariance = structural_components(labels, probabilities)
    assert area == pytest.approx(expected_area)
    assert area[0] == pytest.approx(roc_auc_score(labels, probabilities[:, 0]))
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-15)


@given(CASES)
def test_delong_has_no_favourite_among_the_two_models(cases: list[tuple[int, ...]]) -> None:
    labels, probabilities = columns(cases)
    there = delong(labels, probabilities[:, 0], probabilities[:, 1])
    assert there == pytest.approx(delong(labels, probabilities[:, 1], probabilities[:, 0]), nan_ok=True)


def test_delong_keeps_its_level_where_the_models_are_equally_good() -> None:
    generator = np.random.default_rng(4)
    labels = np.repeat([0, 1], [60, 40])
    p = []
    for _ in range(1000):
        shared = labels + generator.standard_normal(100)
        first, second = shared + generator.standard_normal((2, 100))
        p.append(delong(labels, first, second))
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07
    assert 0.45 < np.mean(np.array(p) < 0.5) < 0.55


@pytest.mark.parametrize("label", [0, 1])
def test_delong_says_nothing_about_one_class(label: int) -> None:
    labels, p = np.full(5, label), np.linspace(0, 1, 5)
    assert math.isnan(delong(labels, p, p[::-1]))
    area, covariance = areas(labels, np.stack([p, p], axis=1))
    assert area.shape == (2,)
    assert covariance.shape == (2, 2)
    assert np.isnan(area).all()
    assert np.isnan(covariance).all()


def test_delong_knows_no_variance_among_a_single_case() -> None:
    first, second = np.array([0.6, 0.1, 0.2, 0.7]), np.array([0.6, 0.1, 0.7, 0.8])
    assert math.isnan(delong(np.array([1, 0, 0, 0]), first, second))
    assert math.isnan(delong(np.array([1, 0, 0, 0]), first, first))
    area, covariance = areas(np.array([1, 0, 0, 0]), np.stack([first, second], axis=1))
    assert area == pytest.approx([2 / 3, 1 / 3])
    assert np.isnan(covariance).all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([0.1, 0.4, 0.3, 0.4, 0.9, 0.2], [0.1, 0.4, 0.3, 0.4, 0.9, 0.2]),  # the same
        ([0.1, 0.4, 0.3, 0.4, 0.9, 0.2], [0.2, 0.5, 0.4, 0.5, 0.6, 0.3]),  # the same order
        ([0.1, 0.2, 0.3, 0.7, 0.8, 0.9], [0.3, 0.2, 0.0, 0.6, 0.9, 0.5]),  # both separate the classes
        ([0.5] * 6, [0.7] * 6),  # both constant
    ],
)
def test_models_that_order_the_classes_alike_do_not_differ(first: list[float], second: list[float]) -> None:
    assert delong(np.array([0, 0, 0, 1, 1, 1]), np.array(first), np.array(second)) == 1


def test_a_difference_without_variance_has_no_p() -> None:
    # Sizes whose inverses are not exact: rounding must not turn a variance of 0 into a p of 0.
    labels, p = np.repeat([0, 1], [7, 3]), np.linspace(0, 1, 10)
    assert math.isnan(delong(labels, p, 1 - p))


def test_delong_refuses_a_probability_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        delong(np.array([0, 1]), np.array([0.1, 0.2]), np.array([0.1, math.nan]))


# [both right, first alone], [second alone, none]. The first is Agresti, "Categorical data analysis" (1990), p. 350, the
# approval ratings in R's ?mcnemar.test. p of statsmodels 0.15.0 (contingency_tables.mcnemar, exact=True) and of
# scipy 1.17.1 (binomtest), which agree.
@pytest.mark.parametrize(
    ("table", "p"),
    [
        ([[794, 150], [86, 570]], 3.7159361395713866e-05),
        ([[30, 40], [12, 18]], 0.0001275387838557407),
        ([[0, 1], [9, 0]], 0.021484375),
        ([[0, 0], [6, 1]], 0.03125),
        ([[5, 3], [3, 5]], 1.0),
        ([[5, 0], [0, 2]], 1.0),
    ],
)
def test_mcnemar_is_the_exact_binomial_test_of_other_programs(table: list[list[int]], p: float) -> None:
    counts = np.ravel(table)
    first, second = (np.repeat(right, counts) for right in ([True, True, False, False], [True, False, True, False]))
    assert mcnemar(first, second) == pytest.approx(p, rel=1e-12)


def test_mcnemar_bears_thousands_of_cases_decided_differently() -> None:
    right = np.arange(3000) < 1600
    # scipy 1.17.1: binomtest(1600, 3000)
    assert mcnemar(right, ~right) == pytest.approx(0.00027856396103923366, rel=1e-12)


def test_mcnemar_says_nothing_without_cases() -> None:
    assert math.isnan(mcnemar(np.array([], dtype=bool), np.array([], dtype=bool)))


# statsmodels 0.15.0, multipletests(method="holm")
@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005, 0.2, 0.04, 0.9], [0.06, 0.16, 0.15, 0.035, 0.4, 0.16, 0.9]),
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),
        ([0.5, 0.6], [1.0, 1.0]),
    ],
)
def test_holm_is_that_of_statsmodels(p: list[float], adjusted: list[float]) -> None:
    assert holm(np.array(p)) == pytest.approx(adjusted)


def test_holm_does_not_count_what_is_undefined() -> None:
    assert holm(np.array([0.03, math.nan, 0.01, 0.02])) == pytest.approx([0.04, math.nan, 0.03, 0.04], nan_ok=True)
    assert np.isnan(holm(np.full(3, math.nan))).all()
    assert holm(np.array([])).shape == (0,)


@given(P_VALUES, st.randoms(use_true_random=False))
def test_holm_only_raises_and_keeps_the_order_wherever_a_test_stands(p: list[float], random: Random) -> None:
    raw = np.array(p)
    adjusted = holm(raw)
    defined = ~np.isnan(raw)
    np.testing.assert_array_equal(np.isnan(adjusted), ~defined)
    assert (adjusted[defined] >= raw[defined]).all()
    assert (adjusted[defined] <= 1).all()
    assert (np.diff(adjusted[defined][np.argsort(raw[defined])]) >= 0).all()
    shuffled = random.sample(range(len(p)), len(p))
    np.testing.assert_array_equal(holm(raw[shuffled]), adjusted[shuffled])


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        (np.arange(1, 1000), 0.002),  # all on one side: the smallest p that 999 resamples can give
        (-np.arange(1, 1000), 0.002),
        (np.repeat([-1, 1], [24, 975]), 0.05),  # 2.4 % beyond 0: the 95 % percentile interval just leaves it out
        (np.repeat([-1, 0, 1], [4, 20, 975]), 0.05),  # a 0 is not on the side of the others
        (np.repeat([-1, 1], [500, 499]), 1.0),
        (np.zeros(10), 1.0),
    ],
)
def test_bootstrap_p_counts_the_resamples_beyond_zero(differences: np.ndarray, p: float) -> None:
    assert bootstrap_p(differences.astype(np.float64)) == pytest.approx(p)


def test_bootstrap_p_needs_half_of_the_resamples() -> None:
    half = np.array([1.0, 2.0, math.nan, math.nan])
    assert bootstrap_p(half) == pytest.approx(2 / 3)
    assert math.isnan(bootstrap_p(np.append(half, math.nan)))
    assert math.isnan(bootstrap_p(np.array([])))
