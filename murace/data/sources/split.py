"""Split images into training, validation and test: by patient over all groups, stratified by group and label.

A *stratum* is a group with a label; a *unit* is a patient, or patients united by identical images. A cut moves whole
units from `train` to another split so that every stratum gives about the wanted fraction of its images.

Own code: scikit-learn's StratifiedGroupKFold takes 13 s where this takes 0.5, and leaves strata with one side empty.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from murace.vocabulary import Split

_PASSES = 20
_PATIENCE = 5_000  # dead ends before a demand of the search is given up; data without circles meet none
_ORDER = {Split.TEST: 0, Split.VALIDATION: 1}

Units = list[dict[int, int]]  # for each unit, its images in each of its strata


def assign(images: pd.DataFrame, cuts: Mapping[Split, float], *, seed: int) -> pd.Series:
    """Choose the split of every image.

    As long as a stratum has two units, both sides of a cut get one of them (unless strata of two or three patients each
    contradict each other in a circle). The order in which units are tried is drawn from PCG64's raw output, which numpy
    keeps stable, over units in the alphabet's order: the same on any machine and for any order of rows.

    Args:
        images: columns `split`, `unit`, `group`, `label`; only rows with split `train` are cut.
        cuts: the fraction, of those rows, that each new split gets.
        seed: the run's seed.

    Returns:
        The splits, indexed as `images`.
    """
    split = images["split"].copy()
    whole = images[images["split"] == Split.TRAIN]
    totals = whole.groupby(["group", "label"]).size()
    for target in sorted(cuts, key=_ORDER.__getitem__):
        rows = images[split == Split.TRAIN]
        names, units, strata = _tally(rows)
        wanted = [float(totals[stratum]) * cuts[target] for stratum in strata]
        order = np.argsort(np.random.PCG64([seed, _ORDER[target]]).random_raw(len(names)), kind="stable")
        held = _cut(units, wanted, order.tolist())
        chosen = {name for name, is_held in zip(names, held, strict=True) if is_held}
        split[rows.index[rows["unit"].isin(chosen)]] = target.value
    return split


def _tally(rows: pd.DataFrame) -> tuple[list[str], Units, list[tuple[str, int]]]:
    """The units in the alphabet's order with their images per stratum, and the strata."""
    counts = Counter(zip(rows["unit"], rows["group"], rows["label"].astype(int), strict=True))
    names = sorted({unit for unit, _, _ in counts})
    strata = sorted({(group, label) for _, group, label in counts})
    place = {name: number for number, name in enumerate(names)}
    column = {stratum: number for number, stratum in enumerate(strata)}
    units: Units = [{} for _ in names]
    for unit, group, label in sorted(counts):
        units[place[unit]][column[group, label]] = counts[unit, group, label]
    return names, units, strata


def _cut(units: Units, wanted: Sequence[float], order: Sequence[int]) -> list[bool]:
    """Which units are held out: first one per stratum and side, then, in `order`, whatever brings the counts nearer.

    The distance is the sum, over the strata and all of them together, of (images held out - wanted)^2 / wanted.
    It falls with every change, so the passes end.
    """
    fixed = _Search(units, len(wanted), order).run()
    held = [fixed.get(unit, False) for unit in range(len(units))]
    scale = [max(number, 1e-9) for number in (*wanted, sum(wanted))]
    excess = [-number for number in (*wanted, sum(wanted))]
    weights = [[*counts.items(), (len(wanted), sum(counts.values()))] for counts in units]
    for unit in fixed:
        if held[unit]:
            _add(excess, weights[unit], 1)
    free = [unit for unit in order if unit not in fixed]
    for _ in range(_PASSES):
        changed = False
        for unit in free:
            sign = -1 if held[unit] else 1
            change = sum(
                count * (count + 2 * sign * excess[stratum]) / scale[stratum] for stratum, count in weights[unit]
            )
            if change < -1e-9:
                _add(excess, weights[unit], sign)
                held[unit] = not held[unit]
                changed = True
        if not changed:
            break
    return held


def _add(excess: list[float], weights: Sequence[tuple[int, int]], sign: int) -> None:
    for stratum, count in weights:
        excess[stratum] += sign * count


@dataclass(frozen=True)
class _Choice:
    """A point of the search to come back to: which unit serves the demand, and those not tried yet."""

    demand: int
    unit: int
    others: Iterator[int]


class _Search:
    """Depth-first search for one unit per stratum and side; small strata first, and in each the small units first."""

    def __init__(self, units: Units, strata: int, order: Sequence[int]) -> None:
        self.units = units
        rank = {unit: number for number, unit in enumerate(order)}
        self.members: list[list[int]] = [[] for _ in range(strata)]
        for unit in sorted(rank, key=lambda unit: (sum(units[unit].values()), rank[unit])):
            for stratum in units[unit]:
                self.members[stratum].append(unit)
        shared = sorted((s for s in range(strata) if len(self.members[s]) > 1), key=lambda s: (len(self.members[s]), s))
        self.demands = [(stratum, side) for stratum in shared for side in (True, False)]
        self.sides: dict[int, bool] = {}
        self.served: Counter[tuple[int, bool]] = Counter()

    def run(self) -> dict[int, bool]:
        """Units with the side they must take; demands that contradict each other are given up, the largest first."""
        trail: list[_Choice] = []
        given_up: set[int] = set()
        demand = deepest = failures = 0
        while demand < len(self.demands):
            stratum, side = self.demands[demand]
            if demand in given_up or self.served[stratum, side]:
                demand += 1
                continue
            others = iter(self.members[stratum])
            unit = self._next(others)
            if unit is None:
                deepest, failures = max(deepest, demand), failures + 1
            while unit is None and trail:
                last = trail.pop()
                self._take(last.unit, self.demands[last.demand][1], -1)
                demand, others = last.demand, last.others
                unit = self._next(others)
            if unit is None or failures > _PATIENCE:
                given_up.add(deepest)
                failures = 0
            if unit is not None:
                self._take(unit, self.demands[demand][1], 1)
                trail.append(_Choice(demand, unit, others))
            demand = 0 if unit is None else demand + 1
        return self.sides

    def _next(self, candidates: Iterator[int]) -> int | None:
        return next((unit for unit in candidates if unit not in self.sides), None)

    def _take(self, unit: int, side: bool, by: int) -> None:
        """Fix (`by` 1) or free (-1) a unit."""
        if by > 0:
            self.sides[unit] = side
        else:
            del self.sides[unit]
        for stratum in self.units[unit]:
            self.served[stratum, side] += by
