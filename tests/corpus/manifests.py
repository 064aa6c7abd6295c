"""Cases 1 (macOS files) and 27 to 38: csv files, labels and splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.corpus.case import MADE, REFUSED, Case, carrier, prepare, rejected
from tests.corpus.images import whole
from tests.corpus.names import COUNT, LINE, kept, listed, says
from tests.data.files import make_mura, picture, png

STUDY = "train/XR_ELBOW/patient00001/study1_negative"
MURA_IMAGES = 32  # with two regions and four patients in each part


def mura(change: Any = lambda source: None) -> Any:
    """A small MURA folder with a change made to it."""

    def build(folder: Path) -> Sequence[object]:
        change(make_mura(folder / "source", patients=4))
        return prepare("source")

    return build


def edited(name: str, old: str, new: str) -> Any:
    """A change to one of MURA's csv files."""

    def change(source: Path) -> None:
        text = (source / name).read_text()
        assert old in text
        (source / name).write_text(text.replace(old, new))

    return change


def appended(*lines: tuple[str, str]) -> Any:
    """Lines added to MURA's csv files."""

    def change(source: Path) -> None:
        for name, line in lines:
            with (source / name).open("a") as file:
                file.write(line + "\n")

    return change


def sidecars(source: Path) -> None:
    """What macOS leaves, on the disk and in the csv."""
    (source / STUDY / "._image1.png").write_bytes(b"\0\5\x16\7" + bytes(78))
    (source / "train/.DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (source / "train/__MACOSX/XR_ELBOW").mkdir(parents=True)
    (source / "train/__MACOSX/XR_ELBOW/image1.png").write_bytes(b"\0\5\x16\7")
    appended(("train_image_paths.csv", f"MURA-v1.1/{STUDY}/._image2.png"))(source)


def four_ignored(folder: Path, answer: dict[str, Any]) -> None:
    """They are counted, and are no error."""
    assert (answer["images"], answer["ignored"], answer["rejected"]) == (MURA_IMAGES, 4, 0)


def rows(*lines: str, **more: Any) -> Any:
    """The carrier with more rows; a file for each that names `odd`."""

    def build(folder: Path) -> Sequence[object]:
        manifest = carrier(folder, *lines, **more)
        for place in range(3):
            (folder / f"source/odd{place}.png").write_bytes(png(picture(500 + place, 16, 16)))
        return prepare(manifest)

    return build


def text(content: bytes) -> Any:
    """A manifest of exactly these bytes."""

    def build(folder: Path) -> Sequence[object]:
        carrier(folder).write_bytes(content)
        return prepare("source/manifest.csv")

    return build


def dressed(folder: Path) -> Sequence[object]:
    """All that spreadsheet programs do to a csv file."""
    manifest = carrier(folder, '"odd, ""2"".png",1,train', "", " , , ", "")
    (folder / 'source/odd, "2".png').write_bytes(whole())
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes().replace(b"\n", b"\r\n"))
    return prepare(manifest)


def same_bytes(folder: Path) -> Sequence[object]:
    """The same file in training and in test."""
    manifest = carrier(folder, "a/odd.png,1,train", "b/odd.png,1,test")
    for place in "ab":
        (folder / "source" / place).mkdir()
        (folder / "source" / place / "odd.png").write_bytes(whole())
    return prepare(manifest)


def label(value: str) -> Any:
    """A row with that label."""
    return lambda folder: listed(folder, "odd.png", whole(), row=f"{{}},{value},train")


def patient(value: str) -> Any:
    """A row of that patient."""
    return rows(
        f'odd0.png,1,train,"{value}"', header="path,label,split,patient", row="{path},{label},{split},p{number}"
    )


def one_class(split: str) -> Any:
    """A split without any positive image."""

    def build(folder: Path) -> Sequence[object]:
        manifest = carrier(folder)
        lines = manifest.read_text().splitlines()
        manifest.write_text("\n".join(line for line in lines if not line.endswith(f"1,{split}")) + "\n")
        return prepare(manifest)

    return build


def reasons(*expected: str) -> Any:
    """What `rejected.csv` says, line by line."""

    def look(folder: Path, answer: dict[str, Any]) -> None:
        assert sorted(reason for _, reason in rejected(folder)) == sorted(expected)

    return look


NOT_INSIDE = rf"manifest\.csv: a path that cannot be used; each begins in the folder of the csv \(line {LINE}: "
LABEL = rf"manifest\.csv: the label must be exactly 0 or 1 \(line {LINE}: "
WRONG = "mislabelled: the folder says negative, train_labeled_studies.csv says 1"
EMPTY = "a study in train_labeled_studies.csv without any image"
ANOTHER = "train/XR_HAND/patient00777/study1_negative"
IN_TWO = "in two splits: 1 patient: "
CLASSES = "both classes are needed in every split"


def both_parts(name: str, region: str) -> Any:
    """A patient of `train` comes again in `valid`, under another region or number of zeros."""
    study = f"valid/XR_{region}/{name}/study1_negative"
    lines = (
        ("valid_labeled_studies.csv", f"MURA-v1.1/{study}/,0"),
        ("valid_image_paths.csv", f"MURA-v1.1/{study}/a.png"),
    )
    return mura(appended(*lines))


MANIFESTS = [
    Case(number="1a", name="sidecars in MURA", build=mura(sidecars), exit_code=0, leaves=MADE, check=four_ignored),
    Case(
        number="1b", name="sidecars in a manifest", exit_code=0, leaves=MADE, says='"ignored": 3',
        build=rows("._good00.png,0,train", "__MACOSX/good00.png,1,test", "a/.DS_Store,1,train"),
    ),
    Case(
        number="27a", name="a missing file", build=lambda folder: listed(folder, "odd.png"),
        says=COUNT, leaves=REFUSED, check=says("missing", "odd.png"),
    ),
    Case(
        number="27b", name="without MURA's prefix", exit_code=0, leaves=MADE, says='"rejected": 0',
        build=mura(edited("train_image_paths.csv", "MURA-v1.1/", "")),
    ),
    Case(
        number="27c", name="under two more folders", says=r"line 1: a/b/train/XR_ELBOW",
        build=mura(edited("train_image_paths.csv", "MURA-v1.1/", "a/b/")),
    ),
    Case(
        number="27d", name="backslashes", build=lambda folder: listed(folder, "a\\odd.png"),
        says=rf"{NOT_INSIDE}a backslash: separate folders with /",
    ),
    Case(
        number="27e", name="another case", build=lambda folder: listed(folder, "GOOD00.png"),
        says=COUNT, leaves=REFUSED, check=says("missing", "GOOD00.png"),
    ),
    Case(
        number="28a", name="absolute", build=lambda folder: listed(folder, "/etc/passwd"),
        says=f"{NOT_INSIDE}an absolute path: '/etc/passwd'",
    ),
    Case(
        number="28b", name="upwards", build=lambda folder: listed(folder, "../../etc/passwd"),
        says=rf"{NOT_INSIDE}'\.\.' in it",
    ),
    Case(
        number="28c", name="down and up", build=lambda folder: listed(folder, "a/../../x.png"),
        says=rf"{NOT_INSIDE}'\.\.' in it",
    ),
    Case(
        number="28d", name="NUL", build=lambda folder: listed(folder, "a\0.png"),
        says="not a UTF-8 csv file: it has NUL",
    ),
    Case(
        number="28e", name="a drive", build=lambda folder: listed(folder, "C:/x.png"), says=f"{NOT_INSIDE}an absolute",
    ),
    Case(
        number="28f", name="upwards in MURA", says=r"line 17: .*: '\.\.' in it",
        build=mura(appended(("train_image_paths.csv", f"MURA-v1.1/{STUDY}/.."))),
    ),
    Case(number="29", name="BOM, CRLF, blanks, quotes", build=dressed, exit_code=0, leaves=MADE, check=kept),
    Case(
        number="30a", name="UTF-16", build=text("path,label\na.png,1\n".encode("utf-16")), says="not a UTF-8 csv file",
    ),
    Case(
        number="30b", name="a huge field", build=text(b"path,label\n" + b"x" * 131_073 + b",1\n"), says="is not a csv",
    ),
    Case(number="30c", name="garbage", build=text(bytes(range(255, 0, -1)) * 40), says="not a UTF-8 csv file"),
    Case(number="30d", name="an open quote", build=text(b'path,label\n"a.png,1\n'), says="not a csv file: line 2: "),
    Case(number="30e", name="nothing", build=text(b""), says="has no column path and no column label"),
    Case(number="30f", name="ragged rows", build=text(b"path,label\na.png,1,2\n"), says=r"line 2: 3 columns"),
    *(
        Case(number=f"31{letter}", name=name, build=label(value), says=f"{LABEL}{hint}: '{value}'")
        for letter, name, value, hint in (
            ("a", "no label", "", "empty"),
            ("b", "label 2", "2", "another number"),
            ("c", "label yes", "yes", "not a number"),
            ("d", "label with a blank", " 1", "write it as 1"),
            ("e", "label 1.0", "1.0", "write it as 1"),
            ("f", "label NaN", "NaN", "another number"),
            ("g", "label in Arabic digits", "\u0661", "write it as 1"),
        )
    ),
    Case(
        number="32a", name="a row twice", build=rows("odd0.png,1,train", "odd0.png,1,train"),
        exit_code=0, leaves=MADE, says="1 rows list an image twice and were counted once",
    ),
    Case(
        number="32b", name="an image with both labels", build=rows("odd0.png,1,train", "odd0.png,0,train"),
        says=r"label conflict: both labels for 1 image: odd0\.png", leaves=REFUSED,
    ),
    Case(
        number="32c", name="a study with both labels",
        says=r"label conflict: both labels for 1 study: all/s", leaves=REFUSED,
        build=rows(
            "odd0.png,1,train,s", "odd1.png,0,train,s",
            header="path,label,split,study", row="{path},{label},{split},s{number}",
        ),
    ),
    Case(
        number="33", name="the folder contradicts the csv", says="2 of 32 radiographs cannot be used",
        build=mura(edited("train_labeled_studies.csv", f"{STUDY}/,0", f"{STUDY}/,1")),
        leaves=REFUSED, check=reasons(WRONG, WRONG),
    ),
    Case(
        number="34a", name="an empty study",
        says="1 of 33 radiographs cannot be used", leaves=REFUSED, check=reasons(EMPTY),
        build=mura(appended(("train_labeled_studies.csv", f"MURA-v1.1/{ANOTHER}/,0"))),
    ),
    Case(
        number="34b", name="a study of sidecars", says="1 of 33 radiographs cannot be used",
        leaves=REFUSED, check=reasons(EMPTY),
        build=mura(appended(
            ("train_labeled_studies.csv", f"MURA-v1.1/{ANOTHER}/,0"),
            ("train_image_paths.csv", f"MURA-v1.1/{ANOTHER}/._image1.png"),
        )),
    ),
    Case(
        number="35a", name="a patient in two splits", says=rf"{IN_TWO}p0\b", leaves=REFUSED,
        build=rows("odd0.png,1,test,p0", header="path,label,split,patient", row="{path},{label},{split},p{number}"),
    ),
    Case(
        number="35b", name="across regions", build=both_parts("patient00001", "HAND"),
        says=rf"{IN_TWO}patient00001\b", leaves=REFUSED,
    ),
    Case(
        number="35c", name="across zeros", build=both_parts("patient1", "ELBOW"),
        says=rf"{IN_TWO}patient00001\b", leaves=REFUSED,
    ),
    Case(
        number="36", name="identical bytes across splits", build=same_bytes, leaves=REFUSED,
        says=r"identical images in two given splits, 1 times?.*: a/odd\.png \(train\) = b/odd\.png \(test\)",
    ),
    *(
        Case(
            number=f"37{letter}", name=f"formula {letter}", build=patient(value),
            says=r"column patient \(line 14: begins with",
        )
        for letter, value in zip("abc", ("=HYPERLINK(1)", "+1", "@x"), strict=True)
    ),
    Case(
        number="37d", name="a group with markup", says=r"column group \(line 2: not a group's name",
        build=rows(header="path,label,split,group", row="{path},{label},{split},<b>"),
    ),
    Case(number="37e", name="an id with markup", build=patient("<img src=x onerror=alert1>"), exit_code=0, leaves=MADE),
    Case(number="37f", name="an id with braces", build=patient("{{7*7}}"), exit_code=0, leaves=MADE),
    Case(
        number="38a", name="no positive in training", build=one_class("train"),
        says=f"{CLASSES}.*all train: 0 p", leaves=REFUSED,
    ),
    Case(
        number="38b", name="no positive in validation", build=one_class("validation"), leaves=REFUSED,
        says=f"{CLASSES}.*overall validation: 0 positive, 2 negative",
    ),
    Case(
        number="38c", name="one patient", leaves=REFUSED, says=f"{CLASSES}.*overall test: 0 positive, 0 negative",
        build=rows(header="path,label,patient", row="{path},{label},p"),
    ),
]  # fmt: skip
