"""What was typed becomes studies: which files belong together, what says so, and how they are called."""

import os
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from murace.data.studies import find
from murace.data.studies.find import StudyFiles
from murace.errors import DataError, Interrupted
from murace.explain.overlays.folders import view_names
from murace.system.progress import Reporter
from tests.data import files

FIRST, SECOND = "1.2.3.4", "1.2.3.5"


def find_studies(paths: list[Path], skip: Path | None = None) -> list[StudyFiles]:
    return find.find_studies(paths, skip=skip, reporter=Reporter()).studies


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    return path


def dicom(path: Path, **tags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.dicom(np.zeros((8, 8), np.uint16), **tags))
    return path


def views(found: list[StudyFiles], root: Path) -> list[list[str]]:
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
    record = png(tmp_path / "drawn" / "x" / "1.png").with_name("study.json")
    record.write_text('{"model_sha256": "0", "views": []}')
    png(tmp_path / "out" / "half" / "1.png")
    assert views(find_studies([tmp_path], skip=tmp_path / "out"), tmp_path) == [["study/1.png"]]
    record.write_text("{}")  # somebody else's
    assert ["drawn/x/1.png"] in views(find_studies([tmp_path], skip=tmp_path / "out"), tmp_path)


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


def test_links_are_followed_and_no_folder_is_looked_at_twice(tmp_path: Path) -> None:
    real = png(tmp_path / "elsewhere" / "1.png").parent
    (tmp_path / "in" / "XR_WRIST").mkdir(parents=True)
    (tmp_path / "in" / "XR_WRIST" / "study").symlink_to(real)
    (tmp_path / "in" / "again").symlink_to(real)
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    (study,) = find_studies([tmp_path / "in"])
    assert study.views == (tmp_path / "in" / "XR_WRIST" / "study" / "1.png",)
    assert study.stated is not None
    assert study.stated.name == "wrist"  # as typed, not where the link leads


def test_what_cannot_be_opened_is_a_view_whose_fault_is_said_later(tmp_path: Path) -> None:
    png(tmp_path / "s" / "1.png")
    (tmp_path / "s" / "2.png").symlink_to("nowhere.png")
    (tmp_path / "s" / "3.png").symlink_to("3.png")
    os.mkfifo(tmp_path / "s" / "4.png")
    os.mkfifo(tmp_path / "s" / "pipe")  # opening it would wait for ever
    assert views(find_studies([tmp_path]), tmp_path) == [["s/1.png", "s/2.png", "s/3.png", "s/4.png"]]


def test_an_empty_folder_among_others_is_a_study_without_views(tmp_path: Path) -> None:
    png(tmp_path / "good" / "1.png")
    (tmp_path / "empty").mkdir()
    good, empty = find_studies([tmp_path / "empty", tmp_path / "good"])
    assert (len(good.views), good.fault) == (1, "")
    assert (empty.name, empty.views, empty.fault) == (str(tmp_path / "empty"), (), "holds no PNG, JPEG or DICOM")


def test_dicom_files_without_a_study_uid_are_kept_apart_by_region(tmp_path: Path) -> None:
    for name, part in (("IM1", "ELBOW"), ("IM2", "WRIST"), ("IM3", "ELBOW")):
        dicom(tmp_path / name, StudyInstanceUID=None, BodyPartExamined=part)
    found = find_studies([tmp_path])
    assert views(found, tmp_path) == [["IM1", "IM3"], ["IM2"]]
    assert [study.stated.name for study in found if study.stated] == ["elbow", "wrist"]
    assert [study.name for study in found] == [f"{tmp_path}#1", f"{tmp_path}#2"]


def test_one_study_may_lie_under_relative_and_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = dicom(tmp_path / "a" / "IM1"), dicom(tmp_path / "b" / "IM2")
    (study,) = find_studies([first, Path("b")])
    assert study.name == str(tmp_path)
    assert [view.resolve() for view in study.views] == [first, second]


def test_an_interruption_is_heard_while_folders_are_searched(tmp_path: Path) -> None:
    png(tmp_path / "1.png")
    reporter = Reporter()
    reporter.signum = signal.SIGINT
    with pytest.raises(Interrupted):
        find.find_studies([tmp_path], reporter=reporter)


@pytest.mark.parametrize(
    ("views", "names"),
    [
        (["a/image1.png", "a/image2.png"], ["image1.png", "image2.png"]),
        (["a/x.png", "a/x.jpg"], ["x.png.png", "x.jpg.png"]),
        (["s1/IM1", "s2/IM1"], ["IM1-1.png", "IM1-2.png"]),
        (["s1/IM1", "s2/IM1", "s3/IM1-1"], ["view0.png", "IM1-2.png", "view2.png"]),
        (["a/=x.png"], ["_=x.png"]),
    ],
)
def test_every_view_has_a_picture_of_its_own(views: list[str], names: list[str]) -> None:
    assert view_names([Path(view) for view in views]) == names


def test_names_that_no_disk_takes_are_replaced() -> None:
    (long,), (odd,) = view_names([Path("a" * 250 + ".png")]), view_names([Path("a\udcff.png")])
    assert len(long) == 20
    assert odd == "a\\udcff.png"
