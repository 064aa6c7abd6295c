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
from murace.explain.overlays.folders import folder_of, view_names
from murace.system.progress import Reporter
from tests.data import files

FIRST, SECOND = "1.2.3.4", "1.2.3.5"


def find_studies(paths: list[Path], skip: Path | None = None) -> list[StudyFiles]:
    return find.find_studies(paths, skip=skip, reporter=Reporter()).studies


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    return path


def dicom(path: Path, **tags: str | None) -> Path:
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


def test_dicom_files_of_one_study_belong_together_wherever_they_lie(tmp_path: Path) -> None:
    for name, uid, part in (
        ("series1/IM1", FIRST, "ELBOW"),
        ("series2/IM2", FIRST, "ELBOW"),
        ("series2/IM4.dcm", SECOND, "WRIST"),
    ):
        dicom(tmp_path / name, StudyInstanceUID=uid, BodyPartExamined=part)
    found = find_studies([tmp_path])
    assert sorted(views(found, tmp_path)) == [["series1/IM1", "series2/IM2"], ["series2/IM4.dcm"]]
    assert [study.stated.name if study.stated else None for study in found] == ["elbow", "wrist"]
    assert len({study.name for study in found}) == 2
    assert not any(study.warning for study in found)
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


@pytest.mark.parametrize("uid", [FIRST, None])
def test_views_of_several_patients_are_never_one_study(tmp_path: Path, uid: str | None) -> None:
    for name, patient in {"IM1": "P1", "IM2": "P2", "IM3": None, "IM4": "P1 ", "IM5": ""}.items():
        dicom(tmp_path / name, StudyInstanceUID=uid, PatientID=patient)
    found = find_studies([tmp_path])
    assert views(found, tmp_path) == [["IM1", "IM4"], ["IM2"], ["IM3"], ["IM5"]]
    assert [study.name for study in found] == [f"{tmp_path}#{number}" for number in range(1, 5)]
    what = "its StudyInstanceUID" if uid else "its folder"
    holds = f"{what} holds 2 patients and 2 files without PatientID: read apart"
    assert [study.warning for study in found] == [
        f"{holds}, this is patient 1 of 2",
        f"{holds}, this is patient 2 of 2",
        f"{holds}, this view has no PatientID and joins nobody",
        f"{holds}, this view has no PatientID and joins nobody",
    ]
    assert "P1" not in repr(found)
    assert [study.patient for study in found] == ["P1", "P2", "", ""]
    folders = [folder_of(study, "elbow") for study in found]
    assert len(set(folders)) == 4
    (tmp_path / "IM2").unlink()
    assert [folder_of(study, "elbow") for study in find_studies([tmp_path])] == [folders[0], *folders[2:]]


def test_one_view_without_a_patient_among_others_joins_nobody(tmp_path: Path) -> None:
    """Nor does a picture that has no tags beside DICOM files that say whose they are."""
    dicom(tmp_path / "a" / "IM1", PatientID="P1")
    dicom(tmp_path / "a" / "IM2", PatientID=None)
    dicom(tmp_path / "b" / "IM1", PatientID="P1", StudyInstanceUID=None)
    png(tmp_path / "b" / "IM1.png")
    found = find_studies([tmp_path])
    assert views(found, tmp_path) == [["a/IM1"], ["a/IM2"], ["b/IM1"], ["b/IM1.png"]]
    assert all(study.warning for study in found)


def test_where_no_file_says_whose_it_is_nothing_is_parted(tmp_path: Path) -> None:
    for name in ("IM1", "IM2"):
        dicom(tmp_path / name, PatientID=None)
    (study,) = find_studies([tmp_path])
    assert (len(study.views), study.warning) == (2, "")


@pytest.mark.parametrize("uid", [FIRST, None])
@pytest.mark.parametrize("patient", ["ANONYMOUS", None])
def test_one_patient_id_for_everybody_does_not_put_people_together(
    tmp_path: Path, uid: str | None, patient: str | None
) -> None:
    people = [("19500101", "F"), ("19600101", "F"), ("19500101", "F"), ("19600101", "M"), ("19600101", None)]
    for number, (born, sex) in enumerate([*people, (None, "F")], start=1):
        tags = {"StudyInstanceUID": uid, "PatientID": patient, "PatientBirthDate": born, "PatientSex": sex}
        dicom(tmp_path / f"IM{number}", **tags)
    found = find_studies([tmp_path])
    assert views(found, tmp_path) == [["IM1", "IM3"], ["IM2"], ["IM4"], ["IM6"], ["IM5"]]
    holds = "holds 3 patients and 2 files without PatientBirthDate or PatientSex: read apart"
    assert all(holds in study.warning for study in found)
    assert "this view has no PatientBirthDate" in found[3].warning
    assert not any(word in repr(found) for word in ("1950", "1960", "19500101", "ANONYMOUS"))


def test_a_view_without_birth_date_or_sex_stays_with_its_patient(tmp_path: Path) -> None:
    for name, born, sex in (("IM1", "19500101", None), ("IM2", None, "F"), ("IM3", None, None)):
        dicom(tmp_path / name, PatientBirthDate=born, PatientSex=sex)
    (study,) = find_studies([tmp_path])
    assert (len(study.views), study.warning) == (3, "")


@pytest.mark.parametrize("count", [16, 17])
def test_a_study_of_more_views_than_any_has_is_doubted(tmp_path: Path, count: int) -> None:
    for number in range(count):
        dicom(tmp_path / f"IM{number}", StudyInstanceUID=FIRST)
    (study,) = find_studies([tmp_path])
    said = "one study of 17 views by its StudyInstanceUID: is it of one patient?"
    assert study.warning == (said if count == 17 else "")


@pytest.mark.parametrize(
    ("parts", "name"), [(["HAND", "WRIST"], ""), (["HAND", "HAND"], "hand"), (["HAND", "THUMB"], "")]
)
def test_a_body_part_of_several_values_is_all_of_them(tmp_path: Path, parts: list[str], name: str) -> None:
    image = np.zeros((8, 8), np.uint16)
    (tmp_path / "IM1").write_bytes(files.dicom(image, BodyPartExamined=parts))
    (study,) = find_studies([tmp_path])
    assert (study.stated.name if study.stated else "") == name


def test_patients_in_one_folder_of_muras_form_are_drawn_into_folders_of_their_own(tmp_path: Path) -> None:
    place = tmp_path / "XR_ELBOW" / "patient00001" / "study1_positive"
    for patient in ("P1", "P2"):
        dicom(place / patient, StudyInstanceUID=None, PatientID=patient)
    assert len({folder_of(study, "elbow") for study in find_studies([place])}) == 2


@pytest.mark.parametrize("uid", [FIRST, None])
@pytest.mark.parametrize("silent", [None, "", "EXTREMITY", "ZZZ", "WRIST HAND"])
def test_a_view_that_names_no_body_part_follows_its_study(tmp_path: Path, uid: str | None, silent: str | None) -> None:
    for name, part in (("IM1", silent), ("IM2", "ELBOW"), ("IM3", silent)):
        dicom(tmp_path / name, StudyInstanceUID=uid, BodyPartExamined=part)
    (study,) = find_studies([tmp_path])
    assert len(study.views) == 3
    assert study.stated is not None
    assert (study.stated.name, study.stated.source) == ("elbow", "BodyPartExamined")


@pytest.mark.parametrize("uid", [FIRST, None])
def test_views_that_contradict_each_other_are_named(tmp_path: Path, uid: str | None) -> None:
    for name, part in (("IM1", "WRIST"), ("IM2", None), ("IM3", "ELBOW"), ("IM4", "ELBOW")):
        dicom(tmp_path / "XR_ELBOW" / name, StudyInstanceUID=uid, BodyPartExamined=part)
    (study,) = find_studies([tmp_path])
    assert study.contradiction == "its views contradict each other (IM3 says elbow, IM1 says wrist)"
    assert study.stated is None


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ({"PatientID": "P1"}, {"PatientID": "P2"}, "patient 1 of 2"),
        ({"PatientID": "P1"}, {"PatientID": None}, "this view has no PatientID"),
        ({"BodyPartExamined": "WRIST"}, {"BodyPartExamined": "ELBOW"}, r"b\udce9\x1b.dcm says elbow"),
    ],
)
def test_names_that_are_no_text_are_written_in_ascii(
    tmp_path: Path, one: dict[str, str | None], other: dict[str, str | None], said: str
) -> None:
    for name, elements in ((b"a\xe9\n", one), (b"b\xe9\x1b.dcm", other)):
        dicom(tmp_path / os.fsdecode(name), **elements)
    texts = [study.warning + study.contradiction for study in find_studies([tmp_path])]
    assert any(said in text for text in texts)
    assert all(text.isascii() and text.isprintable() for text in texts)


def test_prefixes_that_are_no_text_are_written_in_ascii(tmp_path: Path) -> None:
    for name in (b"a\xe9_1.png", b"b\xe9_1.png"):
        png(tmp_path / "1.png").rename(tmp_path / os.fsdecode(name))
    (study,) = find_studies([tmp_path])
    assert "(their names begin in 2 ways)" in study.warning


def cd(root: Path) -> Path:
    """What hospitals hand out: a table of contents, two pictures, objects without pixels, a viewer."""
    dicom(root / "DICOMDIR", SOPClassUID="1.2.840.10008.1.3.10", Rows=None)
    for name in ("SER1/IM1", "SER2/IM1"):
        dicom(root / "DICOM" / name, StudyInstanceUID=FIRST, BodyPartExamined="ELBOW")
    for name, kind in (("PR1", "11.1"), ("SR1", "88.11"), ("KO1", "88.59"), ("PDF.dcm", "104.1")):
        kind = f"1.2.840.10008.5.1.4.1.1.{kind}"
        dicom(root / "DICOM" / "SER3" / name, StudyInstanceUID=FIRST, SOPClassUID=kind, Rows=None)
    png(root / "VIEWER" / "icons" / "logo.png")
    return root


OBJECTS = "4 DICOM objects left out: without pixels (presentation states, reports and the like)"
VIEWER = "1 PNG or JPEG file left out: they lie on a CD, beside or below its DICOMDIR; name them to read them"


@pytest.mark.parametrize("name", ["DICOMDIR", "dicomdir", "contents"])
def test_a_cd_is_its_pictures(tmp_path: Path, name: str) -> None:
    disc = cd(tmp_path / "cd")
    (disc / "DICOMDIR").rename(disc / name)
    elsewhere = png(tmp_path / "other" / "1.png")
    found = find.find_studies([tmp_path], reporter=Reporter())
    assert views(found.studies, tmp_path) == [["cd/DICOM/SER1/IM1", "cd/DICOM/SER2/IM1"], ["other/1.png"]]
    assert found.remarks == (OBJECTS, VIEWER)
    icon = disc / "VIEWER" / "icons" / "logo.png"
    named = find.find_studies([disc, icon, elsewhere], reporter=Reporter())
    assert [len(study.views) for study in named.studies] == [2, 1, 1]
    assert named.remarks == (OBJECTS,)


def test_nothing_but_objects_without_pixels_is_refused(tmp_path: Path) -> None:
    disc = cd(tmp_path / "cd")
    with pytest.raises(DataError, match=r"^4 DICOM objects left out"):
        find_studies([disc / "DICOM" / "SER3"])
    with pytest.raises(DataError, match=r"DICOMDIR is the table of contents of a CD \(DICOMDIR\), whose folder holds"):
        find_studies([disc / "DICOMDIR"])


def test_a_damaged_picture_is_no_object_without_pixels(tmp_path: Path) -> None:
    dicom(tmp_path / "IM1", Rows=None)
    (tmp_path / "IM2").write_bytes(dicom(tmp_path / "IM3").read_bytes()[:300])
    found = find.find_studies([tmp_path], reporter=Reporter())
    assert sorted(name for names in views(found.studies, tmp_path) for name in names) == ["IM1", "IM2", "IM3"]
    assert found.remarks == ()


def test_each_file_is_a_study_where_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("IM1", "IM2"):
        dicom(tmp_path / "a" / name, StudyInstanceUID=FIRST)
    for name in ("1.png", "2.png"):
        png(tmp_path / "XR_WRIST" / "patient00001" / "study1_negative" / name)
    found = find.find_studies([tmp_path], each_file=True, reporter=Reporter())
    paths = [view for study in found.studies for view in study.views]
    assert [len(study.views) for study in found.studies] == [1] * 4
    assert [study.name for study in found.studies] == list(map(str, paths))
    assert [study.stated.name for study in found.studies if study.stated] == ["wrist"] * 2
    assert found.remarks == ("--each-file: 2 DICOM files of one study (StudyInstanceUID) are read as a study each",)
    assert len({folder_of(study, "wrist") for study in found.studies}) == 4


@pytest.mark.parametrize(
    ("names", "prefixes"),
    [
        (["person1_view1", "person1_view2", "person2_view3"], 2),
        (["p1v1", "p1v2", "p2v1"], 2),
        (["00012_elbow", "00034_elbow"], 2),
        (["h-1", "i-1", "j-1", "k-1", "m-1"], 5),
        (["image1", "image2", "image10"], None),
        (["1", "2"], None),
        (["AP", "LAT"], None),
        (["AP_1", "lat_2"], None),
        (["00012_left_ap", "00012_right_lat"], None),
        (["elbow-ap", "elbow-lat"], None),
        ([f"image{number}" for number in range(17)], 0),
    ],
)
def test_a_folder_whose_file_names_carry_several_prefixes_is_warned_about(
    tmp_path: Path, names: list[str], prefixes: int | None
) -> None:
    for name in names:
        png(tmp_path / f"{name}.png")
    (study,) = find_studies([tmp_path])
    said = f"one study of {len(names)} views: use --each-file, or one folder a study"
    begin = f" (their names begin in {prefixes} ways)" if prefixes else ""
    assert study.warning == ("" if prefixes is None else said + begin)
    assert not any(one.warning for one in find_studies(sorted(tmp_path.iterdir())))


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


def test_the_cases_from_the_field() -> None:
    """Real files, where the environment names their folder."""
    folder = os.environ.get("MURACE_CASES")
    if not folder:
        pytest.skip("MURACE_CASES does not name the folder of the cases")
    cases = Path(folder)
    shapes = {
        "one_uid": [1, 1, 1], "half_tagged": [2], "dup": [4], "cd": [2], "words": [1] * 13,
    }  # fmt: skip
    for name, shape in shapes.items():
        assert [len(study.views) for study in find_studies([cases / "archive" / name])] == shape, name
    words = [study.stated.name if study.stated else "" for study in find_studies([cases / "archive" / "words"])]
    assert words == ["", "", *["elbow"] * 8, "", "", ""]
    assert find_studies([cases / "flat"])[0].warning.startswith("one study of 12 views: use --each-file")
