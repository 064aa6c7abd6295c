"""Leaks of five kinds, 50 of each, planted into a drawn data set in MURA's form; none in it as it was drawn."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from murace.config import PrepareConfig, SampleConfig
from murace.errors import DataError
from murace.sample.layout import draw_sample
from murace.steps import audit, prepare
from murace.system.opencv import cv2
from murace.system.progress import Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace

pytestmark = pytest.mark.crash
STUDIES, EACH, SIZE = 130, 50, 128
Image = np.ndarray


def recompressed(image: Image) -> bytes:
    """Three quarters of the size, JPEG of quality 60."""
    small = cv2.resize(image, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()


def stored_otherwise(image: Image) -> bytes:
    """The same pixels without compression."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()


def turned(image: Image, number: int) -> bytes:
    """One of the seven other ways to lay a film down."""
    ways: list[Callable[[Image], Image]] = [
        np.fliplr,
        np.flipud,
        *(lambda each, turns=turns: np.rot90(each, turns) for turns in (1, 2, 3)),
        np.transpose,
        lambda each: np.rot90(each, 2).T,
    ]
    return cv2.imencode(".png", np.ascontiguousarray(ways[number % 7](image)))[1].tobytes()


class Planted:
    """Drawn radiographs in MURA's form, into whose `valid` studies can be planted and taken out again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.train = sorted((folder / "train").rglob("*.png"))
        self.images = {part: folder / f"{part}_image_paths.csv" for part in ("train", "valid")}
        self.studies = {part: folder / f"{part}_labeled_studies.csv" for part in ("train", "valid")}

    def source_of(self, number: int) -> Path:
        """Another training image for every number."""
        return self.train[number * (len(self.train) // (5 * EACH))]

    @contextmanager
    def studies_of(self, films: dict[str, bytes]) -> Iterator[None]:
        """Each film, by its patient, as a study of its own in `valid`."""
        tables = [self.images["valid"], self.studies["valid"]]
        before = [table.read_text() for table in tables]
        made = [f"valid/XR_HAND/{patient}/study9_negative" for patient in films]
        try:
            for study, data in zip(made, films.values(), strict=True):
                (self.folder / study).mkdir(parents=True)
                (self.folder / study / "image1.png").write_bytes(data)
            tables[0].write_text(before[0] + "".join(f"MURA-v1.1/{study}/image1.png\n" for study in made))
            tables[1].write_text(before[1] + "".join(f"MURA-v1.1/{study}/,0\n" for study in made))
            yield
        finally:
            for table, text in zip(tables, before, strict=True):
                table.write_text(text)
            for study in made:
                shutil.rmtree(self.folder / study, ignore_errors=True)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("sample") / "MURA"
    draw_sample(folder, SampleConfig(studies=STUDIES), Reporter())
    return Planted(folder)


def audited(folder: Path, root: Path) -> tuple[audit.Audited, pd.DataFrame]:
    """What is found, and the index."""
    workspace, config = Workspace(root), PrepareConfig(size=SIZE)
    prepare.run(folder, workspace, config, operation=prepare.Operation(jobs=2), rerun=Rerun(), reporter=Reporter())
    return audit.run(workspace, rerun=Rerun(), reporter=Reporter()), pd.read_csv(workspace.prepare.index)


def listed_by_a_stop(folder: Path, root: Path) -> pd.DataFrame:
    """All that `prepare` lists when it refuses a source."""
    with pytest.raises(DataError, match="in two"):
        audited(folder, root)
    return pd.read_csv(root / "prepare/rejected.csv")


def test_nothing_is_found_in_a_clean_set(planted: Planted, tmp_path: Path) -> None:
    result, index = audited(planted.folder, tmp_path / "work")
    assert len(index) >= 2000
    assert result.counts == dict.fromkeys(result.counts, 0)


def test_every_patient_in_two_splits_is_named(planted: Planted, tmp_path: Path) -> None:
    patients = sorted({path.parent.parent.name for path in planted.train})[: 2 * EACH : 2]
    films = {patient: planted.source_of(number).read_bytes() for number, patient in enumerate(patients)}
    with planted.studies_of(films):
        listed = listed_by_a_stop(planted.folder, tmp_path / "work")
    named = {found for reason in listed["reason"] for found in re.findall(r"patient (patient\d+), split", reason)}
    assert named == set(patients)
    assert len(patients) == EACH
    assert {f"valid/XR_HAND/{patient}/study9_negative/image1.png" for patient in patients} <= set(listed["path"])


def test_every_identical_file_and_picture_is_named(planted: Planted, tmp_path: Path) -> None:
    sources = [planted.source_of(number) for number in range(2 * EACH)]
    films = {
        f"patient{90000 + number}": source.read_bytes()
        if number < EACH
        else stored_otherwise(cv2.imread(str(source), cv2.IMREAD_UNCHANGED))
        for number, source in enumerate(sources)
    }
    with planted.studies_of(films):
        listed = listed_by_a_stop(planted.folder, tmp_path / "work")
    originals = {source.relative_to(planted.folder).as_posix() for source in sources}
    assert set(listed["path"]) == originals | {f"valid/XR_HAND/{name}/study9_negative/image1.png" for name in films}
    kinds = listed["reason"].str.partition(":")[0].value_counts().to_dict()
    assert kinds == {f"identical {what} in two given splits": 2 * EACH for what in ("files", "pixels")}


def test_resized_recompressed_and_turned_copies_are_found_and_nothing_else(planted: Planted, tmp_path: Path) -> None:
    sources = [planted.source_of(number) for number in range(2 * EACH)]
    pictures = [cv2.imread(str(source), cv2.IMREAD_UNCHANGED) for source in sources]
    made = [recompressed(each) if n < EACH else turned(each, n) for n, each in enumerate(pictures)]
    films = {f"patient{90000 + number}": data for number, data in enumerate(made)}
    with planted.studies_of(films):
        result, index = audited(planted.folder, tmp_path / "work")
    row = dict(zip(index["path"], index["row"], strict=True))
    wanted = [
        {row[source.relative_to(planted.folder).as_posix()], row[f"valid/XR_HAND/{name}/study9_negative/image1.png"]}
        for source, name in zip(sources, films, strict=True)
    ]
    findings = result.findings[result.findings["kind"] == "near-duplicate"]
    found = [{int(each) for each in rows.split()} for rows in findings["rows"]]
    recall = [sum(pair in found for pair in part) / EACH for part in (wanted[:EACH], wanted[EACH:])]
    assert min(recall) >= 0.95, recall
    assert [pair for pair in found if pair not in wanted] == [], "false alarms"
