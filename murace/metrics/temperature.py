"""Temperature scaling of probabilities: one number fitted on validation that never moves a probability of 0.5.

Guo, Pleiss, Sun & Weinberger, On calibration of modern neural networks, ICML 2017, section 4.2. Two classes only, so
that the scaled probability is sigmoid(logit(p) / T). The likelihood is the paper's; the prior on log T is ours.
"""

import math

import numpy as np
import numpy.typing as npt

# The networks compute in float32, where a sigmoid of 1 says no more than "within 2^-24 of 1". Log odds thus end at
# +-16.6, and one wrong case that was rounded to certainty cannot outweigh a hundred others.
MARGIN = 2.0**-24
# The prior counts as much as n cases where n * mean(p (1 - p) logit(p)^2) = 1 / spread^2: the left side is their
# information on log T, 0.15 to 0.25 a case where log odds have a standard deviation of 1 to 6 (never above 0.44). So
# T = 1 weighs as about 5 studies, and the temperature of all groups as about 70 studies of the group.
OVERALL_SPREAD = 1.0
GROUP_SPREAD = 0.25

REACH = 10.0
STEPS = 401
GOLDEN = (math.sqrt(5) - 1) / 2

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def log_odds(probabilities: Floats) -> Floats:
    """Take the logit of probabilities of any shape, held `MARGIN` away from 0 and 1 so that it is finite.

    Raises:
        ValueError: a probability is not between 0 and 1.
    """
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a probability is not between 0 and 1")
    held = np.clip(probabilities, MARGIN, 1 - MARGIN)
    return np.log(held) - np.log1p(-held)


def fit_temperature(
    labels: Integers, probabilities: Floats, *, centre: float = 1.0, spread: float = OVERALL_SPREAD
) -> float:
    """Find the temperature under which the labels are likeliest, held near `centre` by a normal prior on log T.

    The prior keeps T finite and above 0 where the classes are perfectly separated, and lets a small group lean on a
    larger one. The sum can have two minima in log T, so a grid finds the lower one and golden section refines it.

    Args:
        labels: 0 or 1, [N].
        probabilities: of the label 1, [N].
        centre: the temperature that the prior expects.
        spread: standard deviation of log T in the prior.

    Returns:
        T, within e^-10 to e^10 of `centre`; `centre` itself where the labels have one class or there is no case.

    Raises:
        ValueError: a probability is not between 0 and 1, or `centre` or `spread` is not a finite number above 0.
    """
    if not (0 < centre < math.inf and 0 < spread < math.inf):
        raise ValueError(f"centre {centre} and spread {spread}: both must be finite and above 0")
    right = np.where(labels == 1, 1.0, -1.0) * log_odds(probabilities)
    if not 0 < int((labels == 1).sum()) < len(labels):
        return centre

    def cost(shift: float) -> float:
        surprise = np.logaddexp(0.0, -right * (math.exp(-shift) / centre)).sum()
        return float(surprise) + shift**2 / (2 * spread**2)

    # A surprise is never below 0, so the prior alone costs more than staying at `centre` beyond this reach.
    reach = min(REACH, spread * math.sqrt(2 * cost(0.0)))
    grid = np.linspace(-reach, reach, STEPS)
    best = float(grid[int(np.argmin([cost(float(shift)) for shift in grid]))])
    spacing = 2 * reach / (STEPS - 1)
    low, high = best - spacing, best + spacing
    for _ in range(60):
        inner = GOLDEN * (high - low)
        if cost(high - inner) <= cost(low + inner):
            high = low + inner
        else:
            low = high - inner
    return centre * math.exp((low + high) / 2)


def fit_by_group(
    labels: Integers, probabilities: Floats, groups: npt.NDArray[np.str_]
) -> tuple[float, dict[str, float]]:
    """Fit one temperature to all cases, and one to each group that leans on it the more the smaller the group is.

    Args:
        labels: 0 or 1, [N].
        probabilities: of the label 1, [N].
        groups: the group of each case, [N].

    Returns:
        The temperature of all cases together, and those of the groups in alphabetical order.
    """
    overall = fit_temperature(labels, probabilities, spread=OVERALL_SPREAD)
    by_group = {}
    for group in sorted(set(groups.tolist())):
        cases = groups == group
        by_group[group] = fit_temperature(labels[cases], probabilities[cases], centre=overall, spread=GROUP_SPREAD)
    return overall, by_group


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Scale probabilities of any shape: sigmoid(logit(p) / T).

    Whatever rounding does, p' >= 0.5 exactly where p >= 0.5, equal probabilities stay equal and no order is reversed
    (probabilities within `MARGIN` of 0, or of 1, become equal).

    Raises:
        ValueError: a probability is not between 0 and 1, or the temperature is not a finite number above 0.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature {temperature}: must be finite and above 0")
    values, place = np.unique(probabilities, return_inverse=True)
    scaled = log_odds(values) / temperature
    small = np.exp(-np.abs(scaled))
    # Logarithms of neighbouring numbers may round in the wrong order, hence the running maximum.
    result = np.maximum.accumulate(np.where(scaled >= 0, 1.0, small) / (1 + small))
    decided = values >= 0.5
    result = np.where(decided, np.maximum(result, 0.5), np.minimum(result, np.nextafter(0.5, 0)))
    return result[place].reshape(probabilities.shape)
