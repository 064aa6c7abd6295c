"""What was typed becomes studies: which files belong together, what says so, and how they are called."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from murace.data.finding import Found, find_studies
from murace.errors import DataError
from tests.data import files

FIRST, SECOND = "1.2.3.4", "1.2.3.5"


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    return path


def dicom(path: Path, **tags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.dicom(np.zeros((8, 8), np.uint16), **tags))
    return path


def views(found: list[Found], root: Path) -> list[list[str]]:
    return [[view.relative_to(root).as_posix() for view in study.views] for study in found]


def test_folders_are_searched_to_their_depths_in_a_fixed_order(tmp_path: Path) -> None:
    for name in (
        "b/2.png",
        "b/10.JPG",
        "a/deep/er/1.jpeg",
        "top.png",
        "b/notes.txt",
        "b/._2.png",
        "__MACOSX/x.png",
        "c/bad.dcm",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = find_studies([tmp_path])
    assert views(found, tmp_path) == [
        ["top.png"],
        ["a/deep/er/1.jpeg"],
        ["b/10.JPG", "b/2.png"],
        ["c/bad.dcm"],  # what is wrong with it is said when it is read
    ]
    assert [study.name for study in found] == [f"{tmp_path}{end}" for end in ("", "/a/deep/er", "/b", "/c")]


def test_files_are_a_study_where_their_folder_has_muras_form(tmp_path: Path) -> None:
    mura = [png(tmp_path / f"XR_WRIST/patient00001/study2_negative/image{number}.png") for number in (1, 2)]
    loose = [png(tmp_path / f"loose/{number}.png") for number in (1, 2)]
    found = find_studies([*mura, *loose])
    assert [len(study.views) for study in found] == [2, 1, 1]
    assert found[0].stated is not None
    assert (found[0].stated.name, found[0].stated.source) == ("wrist", "path")
    assert found[1].stated is None


def test_the_same_file_named_twice_is_one_view(tmp_path: Path) -> None:
    one = png(tmp_path / "s" / "1.png")
    assert views(find_studies([tmp_path / "s", tmp_path / "s"]), tmp_path) == [["s/1.png"]]
    assert views(find_studies([one, one]), tmp_path) == [["s/1.png"]]


def test_dicom_files_of_one_study_and_region_belong_together_wherever_they_lie(tmp_path: Path) -> None:
    for name, uid, part in (
        ("series1/IM1", FIRST, "ELBOW"),
        ("series2/IM2", FIRST, "ELBOW"),
        ("series2/IM3", FIRST, "WRIST"),
        ("series2/IM4.dcm", SECOND, "WRIST"),
    ):
        dicom(tmp_path / name, StudyInstanceUID=uid, BodyPartExamined=part)
    found = find_studies([tmp_path])
    assert sorted(views(found, tmp_path)) == [["series1/IM1", "series2/IM2"], ["series2/IM3"], ["series2/IM4.dcm"]]
    assert [study.stated.name if study.stated else None for study in found] == ["elbow", "wrist", "wrist"]
    assert len({study.name for study in found}) == 3
    assert not any(uid in repr(study) for study in found for uid in (FIRST, SECOND))


def test_a_tag_says_more_than_the_path(tmp_path: Path) -> None:
    path = dicom(tmp_path / "XR_HAND" / "a" / "IM1", StudyInstanceUID=FIRST, BodyPartExamined="ELBOW")
    vague = dicom(tmp_path / "XR_HAND" / "b" / "IM1", StudyInstanceUID=SECOND, BodyPartExamined="EXTREMITY")
    stated = [study.stated for study in find_studies([path, vague])]
    assert [(one.name, one.source) for one in stated if one] == [("elbow", "BodyPartExamined"), ("hand", "path")]


def test_what_cam_has_drawn_and_the_folder_it_draws_into_are_no_studies(tmp_path: Path) -> None:
    png(tmp_path / "study" / "1.png")
    png(tmp_path / "drawn" / "x" / "1.png").with_name("study.json").write_text("{}")
    png(tmp_path / "out" / "half" / "1.png")
    assert views(find_studies([tmp_path], skip=tmp_path / "out"), tmp_path) == [["study/1.png"]]


def test_names_are_no_formulas_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    png(Path("=cmd()/1.png"))
    png(Path("two\nlines/1.png"))
    assert [study.name for study in find_studies([Path("=cmd()"), Path("two\nlines")])] == ["./=cmd()", "two\\nlines"]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_what_holds_no_radiograph_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(DataError, match="no such file or folder" if name == "nowhere" else "holds no PNG, JPEG or DI"):
        find_studies([tmp_path / name])
