"""The plan of a synthetic sample: each study's patient, part (train or valid) and finding.

All follows from the seed and the study's place: study i of a region is the same whether 10 or 1,000 are
drawn, so a larger sample contains the smaller one.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from math import floor

import numpy as np

from murace.sample.anatomy import BODIES

REGIONS = tuple(BODIES)
ABNORMAL_FRACTION = 0.45
VALID_EVERY = 4  # each fourth study is on the valid side
SECOND_STUDY = 0.12  # chance that a patient comes again with the same region, and likewise with another
VIEWS = (0.25, 0.40, 0.25, 0.10)  # chances of 1, 2, 3, 4 views


class Finding(StrEnum):
    """The findings that are drawn."""

    FRACTURE = "fracture"
    HARDWARE = "hardware"
    LESION = "lesion"
    NARROWING = "narrowing"


class Purpose(IntEnum):
    """Separate streams of chance, so that a finding never moves anything else in the picture."""

    PATIENT = 0
    KINDS = 1
    BODY = 2
    VIEWS = 3
    POSE = 4
    FINDING = 5
    LOOK = 6
    FILM = 7


MIX = (Finding.HARDWARE,) * 3 + (Finding.FRACTURE,) * 2 + (Finding.LESION,) * 2 + (Finding.NARROWING,)
MIX_WITHOUT_JOINT = (Finding.HARDWARE,) * 3 + (Finding.FRACTURE,) * 2 + (Finding.LESION,) * 3


@dataclass(frozen=True, slots=True)
class Study:
    """One patient's images of one region at one visit; `finding` is None in a normal one."""

    seed: int
    region: str
    side: str
    patient: int
    number: int
    finding: Finding | None

    @property
    def folder(self) -> str:
        """Where it lies, relative to the sample: MURA's form."""
        label = "negative" if self.finding is None else "positive"
        return f"{self.side}/XR_{self.region.upper()}/patient{self.patient:05d}/study{self.number}_{label}"

    @property
    def views(self) -> int:
        """How many images it has, 1 to 4."""
        return int(self.rng(Purpose.VIEWS).choice(4, p=VIEWS)) + 1

    def rng(self, purpose: Purpose, view: int = 0) -> np.random.Generator:
        """The stream of chance for one purpose in one view (0: the whole study)."""
        region = REGIONS.index(self.region)
        return np.random.default_rng([purpose, region, self.patient, self.number, view, self.seed])


def plan(studies: int, seed: int) -> Iterator[Study]:
    """Yield `studies` studies of every region."""
    patients = _patients(studies, seed)
    for region_number, region in enumerate(REGIONS):
        findings = {side: _findings(region, side, seed) for side in ("train", "valid")}
        seen: Counter[int] = Counter()
        for place in range(studies):
            side = "valid" if place % VALID_EVERY == VALID_EVERY - 1 else "train"
            patient = patients[region_number, place]
            seen[patient] += 1
            yield Study(seed, region, side, patient, seen[patient], next(findings[side]))


def _patients(studies: int, seed: int) -> dict[tuple[int, int], int]:
    """Whose each (region, place) is: mostly someone new, now and then someone known from the same side."""
    patients: dict[tuple[int, int], int] = {}
    for region in range(len(REGIONS)):
        for place in range(studies):
            chance = np.random.default_rng([Purpose.PATIENT, region, place, 0, 0, seed]).random()
            new = 1 + place * len(REGIONS) + region
            earlier = patients.get((region, place - VALID_EVERY), new)  # the same side, as VALID_EVERY apart
            elsewhere = patients.get((region - 1, place), new)
            known = earlier if chance < SECOND_STUDY else elsewhere
            patients[region, place] = known if chance < 2 * SECOND_STUDY else new
    return patients


def _findings(region: str, side: str, seed: int) -> Iterator[Finding | None]:
    """Yield the finding of each study on one side of a region; any beginning of it is balanced within one study.

    The phase is at least 0.1 so that the first two studies of a side are one normal and one abnormal.
    """
    rng = np.random.default_rng([Purpose.KINDS, REGIONS.index(region), int(side == "valid"), 0, 0, seed])
    phase = rng.uniform(0.1, 1.0)
    mix = MIX if BODIES[region]().joints else MIX_WITHOUT_JOINT
    place, waiting = 0, list[Finding]()
    while True:
        abnormal = floor(ABNORMAL_FRACTION * (place + 1) + phase) > floor(ABNORMAL_FRACTION * place + phase)
        if abnormal and not waiting:
            waiting = [mix[index] for index in rng.permutation(len(mix))]
        yield waiting.pop() if abnormal else None
        place += 1
