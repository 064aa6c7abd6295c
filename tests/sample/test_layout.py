"""The sample is a MURA folder: same form, honest labels, reproducible, whole or absent."""

import csv
import re
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from murace.config import SampleConfig
from murace.errors import Interrupted, MachineError, UsageError
from murace.sample import layout
from murace.sample.layout import draw_sample
from murace.sample.plan import plan
from murace.system.progress import Reporter

IMAGE = re.compile(r"MURA-v1\.1/(train|valid)/XR_[A-Z]+/patient\d{5,}/study\d+_(positive|negative)/image\d+\.png")
REGIONS = {"XR_ELBOW", "XR_FINGER", "XR_FOREARM", "XR_HAND", "XR_HUMERUS", "XR_SHOULDER", "XR_WRIST"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("sample") / "new" / "MURA-synthetic"
    return folder, draw_sample(folder, SampleConfig(studies=10, seed=3), Reporter())


@pytest.fixture(scope="module")
def sample(drawn: tuple[Path, pd.DataFrame]) -> Path:
    return drawn[0]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first eight studies of the plan."""
    monkeypatch.setattr(layout, "plan", lambda studies, seed: islice(plan(studies, seed), 8))


def read(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def paths(sample: Path, side: str) -> list[str]:
    return [row[0] for row in read(sample / f"{side}_image_paths.csv")]


def test_csv_and_folders_name_the_same_images(sample: Path) -> None:
    listed = paths(sample, "train") + paths(sample, "valid")
    assert all(IMAGE.fullmatch(path) for path in listed)
    assert len(set(listed)) == len(listed)
    on_disk = {f"MURA-v1.1/{path.relative_to(sample).as_posix()}" for path in sample.rglob("*.png")}
    assert set(listed) == on_disk


@pytest.mark.parametrize("side", ["train", "valid"])
def test_labels_agree_with_the_folder_names_and_cover_every_image(sample: Path, side: str) -> None:
    studies = read(sample / f"{side}_labeled_studies.csv")
    assert {study for study, _ in studies} == {path.rpartition("/")[0] + "/" for path in paths(sample, side)}
    for study, label in studies:
        assert study.startswith(f"MURA-v1.1/{side}/")
        assert study.endswith({"0": "_negative/", "1": "_positive/"}[label])


def test_images_are_grey_and_as_large_as_muras(sample: Path) -> None:
    shapes = set()
    for path in sample.rglob("*.png"):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 2
        assert max(pixels.shape) == 512
        shapes.add(pixels.shape)
    assert len(shapes) > 20


def test_every_region_has_one_to_four_views_and_both_labels_on_both_sides(sample: Path) -> None:
    for side in ("train", "valid"):
        studies = read(sample / f"{side}_labeled_studies.csv")
        assert {(study.split("/")[2], label) for study, label in studies} == {(r, v) for r in REGIONS for v in "01"}
    views = [len(list(folder.iterdir())) for folder in sample.glob("*/*/*/*")]
    assert len(views) == 70
    assert set(views) == {1, 2, 3, 4}


def test_truth_has_a_box_inside_every_abnormal_image_and_no_other(sample: Path) -> None:
    header, *rows = read(sample / "truth.csv")
    assert header == ["path", "finding", "x", "y", "width", "height"]
    positive = {path.relative_to(sample).as_posix() for path in sample.rglob("*.png") if "positive" in str(path)}
    assert {row[0] for row in rows} == positive
    assert len(rows) == len(positive)
    assert {row[1] for row in rows} == {"fracture", "hardware", "lesion", "narrowing"}
    for path, _, *numbers in rows:
        x, y, width, height = map(int, numbers)
        rows_, columns = cv2.imread(str(sample / path), cv2.IMREAD_UNCHANGED).shape
        assert min(x, y) >= 0
        assert min(width, height) >= 8
        assert x + width <= columns
        assert y + height <= rows_


def test_the_folder_says_that_it_is_synthetic_and_holds_nothing_else(sample: Path) -> None:
    assert "SYNTHETIC" in (sample / "SYNTHETIC.txt").read_text()
    tables = [f"{side}_{name}.csv" for side in ("train", "valid") for name in ("image_paths", "labeled_studies")]
    assert {path.name for path in sample.iterdir()} == {"train", "valid", "truth.csv", "SYNTHETIC.txt", *tables}


def test_what_is_returned_is_the_truth_on_disk(drawn: tuple[Path, pd.DataFrame]) -> None:
    sample, truth = drawn
    assert truth.equals(pd.read_csv(sample / "truth.csv"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def images(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*.png")}


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(sample: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        draw_sample(tmp_path / name, SampleConfig(studies=10, seed=seed), Reporter())
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert images(tmp_path / "one") <= images(sample)
    assert len(images(tmp_path / "other")) >= 8
    assert not images(tmp_path / "other") & images(sample)


@pytest.mark.parametrize("existing", ["file", "folder"])
def test_a_folder_with_something_in_it_is_refused_and_untouched(tmp_path: Path, existing: str) -> None:
    target = tmp_path / "target"
    kept = target if existing == "file" else target / "thesis.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(UsageError, match=r"target.*name a new or an empty folder"):
        draw_sample(target, SampleConfig(studies=10), Reporter())
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [kept.name]


class Stopped(Reporter):
    """A signal comes before the third study."""

    calls = 0

    def check(self) -> None:
        self.calls += 1
        if self.calls == 3:
            raise Interrupted(2)


@pytest.mark.parametrize("exists", [True, False])
def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "sample"
    if exists:
        folder.mkdir()
    with pytest.raises(Interrupted):
        draw_sample(folder, SampleConfig(studies=10), Stopped())
    assert folder.exists() == exists
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])


@pytest.mark.usefixtures("few")
def test_what_a_killed_drawing_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / layout.UNFINISHED / "train" / "XR_ELBOW" / "half.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    truth = draw_sample(tmp_path, SampleConfig(studies=10, seed=3), Reporter())
    assert not (tmp_path / layout.UNFINISHED).exists()
    assert len(list(tmp_path.rglob("*.png"))) >= 8
    assert len(list(tmp_path.glob("*/*/*/*_positive/*.png"))) == len(truth)


def test_an_unwritable_place_is_a_machine_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        draw_sample(tmp_path / "file" / "sample", SampleConfig(studies=10), Reporter())
