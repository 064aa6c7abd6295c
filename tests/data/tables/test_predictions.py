"""A csv of predictions is read to the letter, or refused with the lines that are to blame."""

from pathlib import Path

import numpy as np
import pytest

from murace.data.tables.predictions import Predictions, read_predictions
from murace.errors import DataError, UsageError
from tests.listener import Listener

HEADER = "path,patient,study,group,label,mine,theirs\n"
ROWS = ["a1.png,p1,s1,elbow,1,0.9,0.8\n", "a2.png,p1,s1,elbow,1,0.7,1\n", "b.png,p2,s2,wrist,0,0,1e-3\n"]
GOOD = HEADER + "".join(ROWS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.csv"


def read(path: Path, text: str | bytes, **roles: list[str]) -> Predictions:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_predictions(path, **roles)


def test_every_column_has_its_role(path: Path) -> None:
    lines = ["row,path,patient,study,group,label,split,width,height,sha256,maker,mine"]
    lines += ["7,a.png,p1,s1,elbow,1,test,200,300,ab12,GE,0.1234567890123", "8,b.png,p2,s2,wrist,0,test,100,90,cd,,1"]
    found = read(path, "\n".join(lines), slices=["maker"])
    assert found.models == ("mine",)
    assert found.groups == ("elbow", "wrist")
    assert found.notes == ()
    assert list(found.images) == ["patient", "study", "group", "label", "width", "height", "maker", "mine"]
    kinds = {name: found.images[name].dtype for name in ("label", "width", "height", "mine")}
    assert kinds == {"label": np.int64, "width": np.int64, "height": np.int64, "mine": np.float64}
    assert found.images.iloc[0].tolist() == ["p1", "s1", "elbow", 1, 200, 300, "GE", 0.1234567890123]
    assert found.images["maker"].tolist() == ["GE", ""]


def test_models_are_narrowed_and_what_is_left_is_not_looked_at(path: Path) -> None:
    assert read(path, GOOD).models == ("mine", "theirs")
    assert read(path, GOOD, models=["theirs,mine"]).models == ("theirs", "mine")
    assert read(path, GOOD, models=["theirs", "mine", "mine"]).models == ("theirs", "mine")
    assert read(path, GOOD.replace("0.8", "good").replace("1e-3", "bad"), models=["mine"]).models == ("mine",)
    assert read(path, 'label,"a,b",a\n1,0.5,0.5\n', models=["a,b"]).models == ("a,b",)


def test_a_probability_after_calibration_belongs_to_its_model(path: Path) -> None:
    text = "label,mine,mine_calibrated,lone_calibrated\n1,0.9,0.8,0.7\n0,0.1,0.2,0.3\n"
    found = read(path, text)
    assert (found.models, found.calibrated) == (("mine", "lone_calibrated"), {"mine": "mine_calibrated"})
    assert found.images["mine_calibrated"].tolist() == [0.8, 0.2]
    asked = read(path, text, models=["mine,mine_calibrated"])
    assert (asked.models, asked.calibrated) == (("mine", "mine_calibrated"), {})


def test_what_is_not_known_is_the_rows_own_and_is_said(path: Path) -> None:
    found = read(path, "label,m\n1,0.5\n0,0.5\n0,0.5\n")
    assert found.images["study"].nunique() == found.images["patient"].nunique() == 3
    assert found.groups == ("all",)
    assert [note.split(":")[0] for note in found.notes] == ["no study column", "no patient column", "no group column"]
    found = read(path, "label,study,m\n1,s,0.5\n1,s,0.6\n0,t,0.5\n")
    assert found.images["patient"].tolist() == ["s", "s", "t"]
    assert "no patient-level intervals" in found.notes[0]
    found = read(path, "label,split,patient,study,group,m\n1,train,a,a,g,0\n0,test,b,b,g,1\n")
    assert "2 splits are scored together" in found.notes[0]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_and_tabs_are_read_with_decimal_commas_too(path: Path, separator: str) -> None:
    wanted = read(path, GOOD)
    text = GOOD.replace(",", separator)
    for given in (text, text.replace(".9", ",9").replace("0.8", ",8")):
        found = read(path, given)
        assert found.images.equals(wanted.images)
        assert found.models == wanted.models
        assert read(path, f"sep={separator}\r\n{given}").images.equals(wanted.images)
    with pytest.raises(DataError, match=r"line 3: mine is '1\.0,9'"):
        read(path, f"SEP={separator}\n" + text.replace("0.9", "1.0,9"))
    with pytest.raises(DataError, match=r"line 2: mine is '1\.0,9'"):
        read(path, text.replace("0.9", "1.0,9"))


def test_ids_that_look_alike_are_one_patient_and_one_study(path: Path) -> None:
    path.write_text(GOOD.replace("a2.png,p1,s1", "a2.png,p1\u00a0,s1\u200b"))
    reporter = Listener()
    images = read_predictions(path, reporter=reporter).images
    assert images["patient"].tolist() == ["p1", "p1", "p2"]
    assert images["study"].tolist() == ["s1", "s1", "s2"]
    assert [line.partition(": ids")[0] for line in reporter.warnings] == [
        f"{path}: column patient",
        f"{path}: column study",
    ]
    assert "'p1' and 'p1\\xa0'" in reporter.warnings[0]


def test_a_column_is_known_by_what_is_seen_of_its_name(path: Path) -> None:
    assert read(path, GOOD.replace("patient", "patient ")).images.equals(read(path, GOOD).images)


REFUSED = {
    "a probability over 1": (GOOD.replace("0.9", "1.1"), "line 2: mine is '1.1'"),
    "a probability below 0": (GOOD.replace("1e-3", "-0.001"), "line 4: theirs is '-0.001'"),
    "NaN": (GOOD.replace("0.9", "NaN"), "line 2: mine is 'NaN'"),
    "nothing": (GOOD.replace("0.9", ""), "line 2: mine is ''"),
    "infinity": (GOOD.replace("0.9", "inf"), "line 2: mine is 'inf'"),
    "a huge number": (GOOD.replace("0.9", "1e999"), "outside"),
    "a word": (GOOD.replace("0.9", "high"), "line 2: mine is 'high'"),
    "an underscore": (GOOD.replace("0.9", "0_9"), "not a number"),
    "digits of another script": (GOOD.replace("0.9", "\u0660"), "not a number"),
    "all faults at once": (GOOD.replace("0.9", "1.1").replace("1e-3", "2"), "line 2: mine is '1.1'; line 4: theirs"),
    "a column of words": (GOOD.replace("0.9", "GE").replace("0.7", "GE").replace(",0,1e", ",GE,1e"), "--slice 'mine'"),
    "a label 2": (GOOD.replace("elbow,1,0.9", "elbow,2,0.9"), "line 2: another number: '2'"),
    "a label 1.0": (GOOD.replace("elbow,1,0.9", "elbow,1.0,0.9"), "line 2: write it as 1: '1.0'"),
    "no label": (GOOD.replace("elbow,1,0.9", "elbow,,0.9"), "line 2: empty"),
    "no label column": (GOOD.replace("label", "truth"), "no column label"),
    "bars": (GOOD.replace(",", "|"), "separate the columns with commas, semicolons or tabs"),
    "no model column": ("path,label\na.png,1\n", "no column of probabilities"),
    "a model of our words": ("label,none\n1,0.5\n", "rename the column none"),
    "a path twice": (GOOD + ROWS[0], "line 5: a1.png, as on line 2"),
    "a path twice, written otherwise": (GOOD + "./" + ROWS[0], "line 5: a1.png, as on line 2"),
    "a path twice, with something invisible": (GOOD + ROWS[0].replace("a1.png", "a1.png\u200b"), "as on line 2"),
    "a row twice, with a blank": ("row,label,m\n3,1,0.5\n3 ,1,0.6\n", "line 3: 3 , as on line 2"),
    "two labels behind a blank": (GOOD.replace("a2.png,p1,s1,elbow,1", "a2.png,p1,s1 ,elbow,0"), "'s1' has 1 and 0"),
    "an id of blanks": (GOOD.replace("p2", " \u00a0"), "line 4: empty"),
    "a row twice": ("row,label,m\n3,1,0.5\n3,1,0.6\n", "line 3: 3, as on line 2"),
    "the same views": ("study,label,m\ns,1,0.5\ns,1,0.5\n", "told apart by a column path or row"),
    "two labels": (GOOD.replace("elbow,1,0.7", "elbow,0,0.7"), "line 3: study 's1' has 1 and 0"),
    "two groups": (GOOD.replace("elbow,1,0.7", "wrist,1,0.7"), "line 3: study 's1' has elbow and wrist"),
    "two patients": (GOOD.replace("a2.png,p1", "a2.png,p3"), "line 3: study 's1' has p1 and p3"),
    "a control character": (GOOD.replace("p2", "p\x1b[31m2"), "line 4: a control character: 'p\\x1b[31m2'"),
    "a formula": (GOOD.replace("s2", "=HYPERLINK(1)"), "line 4: begins with one of = + - @"),
    "a path out": (GOOD.replace("b.png", "../b.png"), "'..'"),
    "an upper case group": (GOOD.replace("wrist", "Wrist"), "line 4: write it as 'wrist'"),
    "the group overall": (GOOD.replace("wrist", "overall"), "not a group's name"),
    "a group without a name": (GOOD.replace("wrist", ""), "not a group's name"),
    "an empty file": ("", "its first line says: nothing"),
    "no row": (HEADER, "a header and no row"),
    "the header twice": (GOOD + HEADER, "line 5: not a number: 'label'"),
    "a column twice": (GOOD.replace("theirs", "mine"), "is there twice: mine"),
    "a column without a name": (GOOD.replace("theirs", ""), "has no name"),
    "a column's name that steers": (GOOD.replace("theirs", "\x1b[31m"), "a control character"),
    "a column's name that computes": (GOOD.replace("theirs", "=1+1"), "begins with one of"),
    "a row that is short": (GOOD + "c.png,p3,s3\n", "line 5: 3 columns"),
    "an open quote": (GOOD + '"c.png', "is not a csv file"),
    "no UTF-8": (GOOD.encode() + b"\xff", "not a UTF-8 csv file"),
    "UTF-16": (GOOD.encode("utf-16"), "NUL bytes"),
    "NUL bytes": (GOOD.replace("p2", "p\0"), "NUL bytes"),
    "a huge field": (GOOD.replace("p2", "p" * 200_000), "field larger"),
    "a long id": (GOOD.replace("p2", "p" * 2000), "longer than 1024 characters"),
    "no pixels": ("label,width,height,m\n1,0,10,0.5\n", "column width: pixels (line 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_with_its_lines(case: str, path: Path) -> None:
    text, word = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read(path, text)
    message = str(caught.value)
    assert word in message
    assert str(path) in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 1500


@pytest.mark.parametrize(
    ("roles", "word"),
    [
        ({"models": ["mine,thiers"]}, "did you mean 'theirs'?"),
        ({"models": ["label"]}, "'label' is not a column of probabilities"),
        ({"models": ["mine"], "slices": ["mine"]}, "'mine' is not a column of probabilities"),
        ({"models": [","]}, "''"),
        ({"slices": ["makr"]}, "'makr' is not a column of"),
        ({"slices": ["patient"]}, "'patient' is not a column to slice by"),
    ],
)
def test_a_column_that_cannot_be_that_is_usage(roles: dict[str, list[str]], word: str, path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(path, GOOD, **roles)
    assert word in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(DataError, match=r"cannot be read|is not a regular file"):
            read_predictions(path)


def test_blank_lines_and_quoted_ids_are_counted_as_lines(path: Path) -> None:
    with pytest.raises(DataError, match="line 6: mine is 'x'"):
        read(path, HEADER + "\n" + '"a,1.png",p1,s1,elbow,1,0.9,0.8\n\n' + ROWS[1] + ROWS[2].replace(",0,1e", ",x,1e"))
    assert len(read(path, GOOD.replace("\n", "\r\n").encode("utf-8-sig")).images) == 3


def test_an_endless_file_is_refused_before_it_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("murace.data.tables.table.MAX_FILE", 1 << 20)
    (tmp_path / "p.csv").write_text("label,mine\n" + "1,0.5\n" * 200_000)
    with pytest.raises(DataError, match="too large for a csv file: more than 1 MiB"):
        read_predictions(tmp_path / "p.csv")
