"""Who is drawn: balanced, by patient, and the same however many are asked for."""

from collections import defaultdict
from itertools import pairwise

import pytest

from murace.sample.plan import REGIONS, Finding, Study, plan


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_no_patient_is_on_both_sides_but_some_come_again(seed: int) -> None:
    sides, regions, studies = defaultdict(set), defaultdict(set), defaultdict(list)
    for study in plan(40, seed):
        sides[study.patient].add(study.side)
        regions[study.patient].add(study.region)
        studies[study.patient, study.region].append(study.number)
    assert all(len(seen) == 1 for seen in sides.values())
    assert any(len(seen) > 1 for seen in regions.values())
    assert any(len(numbers) > 1 for numbers in studies.values())
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in studies.values())


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_sample_contains_the_smaller_one(seed: int) -> None:
    assert set(plan(10, seed)) < set(plan(25, seed))


@pytest.mark.parametrize("studies", [10, 40, 100])
def test_each_side_of_each_region_is_balanced(studies: int) -> None:
    for seed in range(5):
        drawn = list(plan(studies, seed))
        assert len(drawn) == 7 * studies
        for region in REGIONS:
            for side, part in (("train", 0.75), ("valid", 0.25)):
                here = [study for study in drawn if (study.region, study.side) == (region, side)]
                abnormal = sum(study.finding is not None for study in here)
                assert abs(len(here) - part * studies) < 1
                assert abs(abnormal - 0.45 * len(here)) < 1
                assert 0 < abnormal < len(here)


def test_every_finding_comes_and_joints_narrow_only_where_there_are_some() -> None:
    found = defaultdict(set)
    for study in plan(60, 0):
        found[study.region].add(study.finding)
    shaft_only = {None, Finding.FRACTURE, Finding.HARDWARE, Finding.LESION}
    for region in REGIONS:
        assert found[region] == (shaft_only if region in {"forearm", "humerus"} else {*shaft_only, Finding.NARROWING})


def test_every_stream_of_chance_is_its_own() -> None:
    studies = [Study(1, "hand", "train", 5, 1, None), Study(1, "hand", "train", 5, 2, None)]
    studies += [Study(1, "wrist", "train", 5, 1, None), Study(1, "hand", "train", 6, 1, None)]
    studies += [Study(2, "hand", "train", 5, 1, None)]
    firsts = sorted(study.rng(purpose, view).random() for study in studies for purpose in range(8) for view in range(3))
    assert all(low < high for low, high in pairwise(firsts))
