"""What is drawn: a finding changes its own place and nothing else; regions differ; the exposure tells no label."""

from collections import defaultdict
from dataclasses import replace

import cv2
import numpy as np
import pytest

from murace.sample.anatomy import BODIES
from murace.sample.plan import REGIONS, Finding, Study, plan
from murace.sample.radiograph import draw_study

CASES = [(region, kind) for region in REGIONS for kind in Finding if kind != "narrowing" or BODIES[region]().joints]


@pytest.mark.parametrize(("region", "kind"), CASES)
def test_the_finding_shows_inside_its_box_and_the_rest_of_the_picture_stays(region: str, kind: Finding) -> None:
    for patient in (1, 2):
        abnormal = Study(0, region, "train", patient, 1, kind)
        pairs = zip(draw_study(abnormal), draw_study(replace(abnormal, finding=None)), strict=True)
        for shown, normal in pairs:
            assert normal.box is None
            assert shown.box is not None
            changed = np.abs(shown.pixels.astype(int) - normal.pixels) > 20
            x, y, width, height = shown.box
            inside = changed[y : y + height, x : x + width]
            assert inside.sum() >= 60  # still some 4 pixels at 128 x 128
            assert changed.mean() < 0.15
            if kind in (Finding.HARDWARE, Finding.LESION):
                assert inside.sum() > 0.95 * changed.sum()


@pytest.mark.parametrize("region", REGIONS)
def test_it_looks_exposed_like_a_radiograph(region: str) -> None:
    pixels = next(draw_study(Study(0, region, "train", 1, 1, None))).pixels
    dark, middle, bright = np.percentile(pixels, [2, 50, 98])
    assert dark < 60
    assert dark < middle < bright
    assert bright > 130
    smooth = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), 2.0)
    assert 0.5 < float(np.std(pixels - smooth)) < 15  # grain, not flat paint, and not noise alone


def small(study: Study) -> np.ndarray:
    pixels = cv2.resize(next(draw_study(study)).pixels, (24, 24), interpolation=cv2.INTER_AREA).astype(float)
    return (pixels - pixels.mean()) / pixels.std()


def test_regions_differ_more_than_patients_do() -> None:
    """A mean picture per region is enough to tell most first views of each region apart."""
    pictures = defaultdict(list)
    for region in REGIONS:
        for patient in range(1, 13):
            pictures[region].append(small(Study(0, region, "train", patient, 1, None)))
    means = {region: np.mean([[p, p[:, ::-1]] for p in seen[:6]], axis=(0, 1)) for region, seen in pictures.items()}
    for region, seen in pictures.items():
        named = [min(means, key=lambda known: float(np.square(means[known] - own).mean())) for own in seen[6:]]
        assert named.count(region) >= 4, f"{region} taken for {named}"


def test_neither_size_nor_brightness_tells_the_label() -> None:
    """AUC of each single number within its region is near a coin's, hardware apart (metal is bright by nature)."""
    numbers, labels = [], []
    for study in plan(10, 11):
        if study.finding is Finding.HARDWARE:
            continue
        for shown in draw_study(study):
            pixels = shown.pixels
            numbers.append((study.region, *pixels.shape, pixels.mean(), pixels.std()))
            labels.append(study.finding is not None)
    values, abnormal = np.array([row[1:] for row in numbers], float), np.array(labels)
    for region in REGIONS:
        here = np.array([row[0] == region for row in numbers])
        values[here] = (values[here] - values[here].mean(axis=0)) / (values[here].std(axis=0) + 1e-9)
    for column in values.T:
        positive, negative = column[abnormal], column[~abnormal]
        auc = (positive[:, None] > negative).mean() + 0.5 * (positive[:, None] == negative).mean()
        assert 0.35 < auc < 0.65


def test_the_frame_and_the_size_do_not_depend_on_the_finding() -> None:
    for region, kind in CASES:
        study = Study(5, region, "train", 9, 1, kind)
        for shown, normal in zip(draw_study(study), draw_study(replace(study, finding=None)), strict=True):
            assert shown.pixels.shape == normal.pixels.shape
            edge = np.r_[0:4, -4:0]
            assert np.median(np.abs(shown.pixels[edge].astype(int) - normal.pixels[edge])) <= 1
