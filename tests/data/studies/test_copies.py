"""A picture that a study holds twice counts once; different pictures count, whatever their identifiers say."""

import os
from pathlib import Path

import numpy as np
import pytest

from murace.data.images.views import read_views
from murace.data.studies.copies import Copies, find_copies
from murace.data.studies.find import find_studies
from murace.system.progress import Reporter
from tests.data import files


def copies(folder: Path) -> Copies:
    (study,) = find_studies([folder], reporter=Reporter()).studies
    return find_copies(study, read_views(study.views, size=64, fit="squash"))


def picture(seed: int) -> np.ndarray:
    return files.picture(seed, 90, 70).astype(np.uint16) * 257


def put(path: Path, seed: int, instance: str | None, **elements: object) -> None:
    path.write_bytes(files.dicom(picture(seed), SOPInstanceUID=instance, **elements))


@pytest.mark.parametrize("ending", [".png", ".dcm"])
def test_the_same_bytes_count_once(tmp_path: Path, ending: str) -> None:
    for name, seed in (("a", 1), ("b", 2), ("c", 1), ("d", 1)):
        data = files.png(picture(seed)) if ending == ".png" else files.dicom(picture(seed), SOPInstanceUID=None)
        (tmp_path / f"{name}{ending}").write_bytes(data)
    found = copies(tmp_path)
    assert found.counted.tolist() == [True, True, False, False]
    assert found.remark == "stored twice, counted once: view 3 = 1, view 4 = 1"


def test_one_instance_stored_in_two_ways_counts_once(tmp_path: Path) -> None:
    put(tmp_path / "a", 1, "1.2.1")
    put(tmp_path / "b", 2, "1.2.2")
    noisy = picture(1) + np.random.default_rng(0).integers(0, 900, picture(1).shape).astype(np.uint16) // 2
    (tmp_path / "c").write_bytes(files.dicom(noisy, SOPInstanceUID="1.2.1", SeriesDescription="again"))
    found = copies(tmp_path)
    assert found.counted.tolist() == [True, True, False]
    assert found.remark == "stored twice, counted once: view 3 = 1"


def test_different_pictures_under_one_instance_all_count(tmp_path: Path) -> None:
    put(tmp_path / "a", 1, "1.2.1")
    put(tmp_path / "b", 2, "1.2.1")
    found = copies(tmp_path)
    assert found.counted.tolist() == [True, True]
    assert found.remark == "another picture has the SOPInstanceUID of view 2: both are counted"


def test_a_copy_that_cannot_be_read_takes_nothing_away(tmp_path: Path) -> None:
    put(tmp_path / "a", 1, "1.2.1")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-900])
    put(tmp_path / "b", 1, "1.2.1")
    found = copies(tmp_path)
    assert (found.counted.tolist(), found.remark) == ([True], "")


def test_black_pictures_are_alike(tmp_path: Path) -> None:
    for name, description in (("a", "one"), ("b", "two")):
        black = np.zeros((64, 64), np.uint16)
        (tmp_path / name).write_bytes(files.dicom(black, SOPInstanceUID="1.2", SeriesDescription=description))
    assert copies(tmp_path).counted.tolist() == [True, False]


@pytest.mark.parametrize("instance", ["1.2.1", "1.2.2"])
def test_no_name_of_a_file_is_said(tmp_path: Path, instance: str) -> None:
    names = [os.fsdecode(name) for name in (b"a\xe9\x1b", b"b\xe9\n.dcm")]
    for seed, name in enumerate(names):
        put(tmp_path / name, 1 if instance == "1.2.1" else seed, "1.2.1")
    assert "view " in (remark := copies(tmp_path).remark)
    assert not any(name in remark for name in names)
    assert remark.isascii()
