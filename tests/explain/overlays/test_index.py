import signal
from pathlib import Path

import numpy as np
import pytest

from murace.errors import Interrupted, UsageError
from murace.explain.overlays.index import drawn_folders, refuse_foreign_index, write_index
from murace.explain.overlays.triptych import triptych
from murace.system.opencv import cv2
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed
from murace.vocabulary import DISCLAIMER


def drawn(out: Path, name: str, probability: float, **more: object) -> Path:
    """A study's folder as `cam` leaves it."""
    folder = out / name
    folder.mkdir(parents=True)
    sheet = triptych(np.full((80, 60), 90, np.uint8), np.full((2, 2), 3.0), caption="")
    cv2.imwrite(str(folder / "image1.png"), sheet[..., ::-1])
    content = {
        "group": name.partition("-")[0],
        "learner": "resnet",
        "probability": probability,
        "decision": "abnormal" if probability >= 0.5 else "normal",
        "threshold": 0.5,
        "views": [{"file": "image1.png", "probability": probability, "log_odds": 0.0}],
        "model_sha256": "0" * 64,
    }
    write_sealed(folder / "study.json", content | more)
    return folder


def written(out: Path, **more: object) -> str:
    given = {"notes": ["A note."], "reporter": Reporter(), "threads": 2, **more}
    return write_index(out, drawn_folders(out), **given).read_text()


def test_the_page_covers_what_stands_in_the_folders(tmp_path: Path) -> None:
    drawn(tmp_path, "elbow-patient1-study1", 0.3)
    drawn(
        tmp_path,
        "wrist-patient2-study1",
        0.8,
        probability_calibrated=0.7,
        group_source="path",
        method="gradcam",
        scales=[1],
    )
    page = written(tmp_path)
    assert page.index("wrist-patient2-study1") < page.index("elbow-patient1-study1")
    assert page.count("data:image/webp;base64,") == 2
    assert "calibrated 0.700" in page
    assert "(known by path)" in page
    assert "gradcam 1x" in page
    assert "A note." in page
    assert DISCLAIMER in page
    assert page.endswith("</html>")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.html"]


def test_the_same_folders_give_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    for number in range(6):
        drawn(tmp_path, f"elbow-{number}", number / 6)
    assert written(tmp_path, threads=1) == written(tmp_path, threads=5)


def test_what_is_unfinished_or_foreign_is_no_part_of_it(tmp_path: Path) -> None:
    drawn(tmp_path, "elbow-1", 0.3)
    (drawn(tmp_path, "elbow-2", 0.3) / "begun.json").write_text("{}")
    whole = (tmp_path / "elbow-1" / "study.json").read_text()
    for number, text in enumerate(("{", "[1]", '{"group": "<b>"}', whole.replace("0.3", "0.9"))):
        (drawn(tmp_path, f"elbow-x{number}", 0.3) / "study.json").write_text(text)
    drawn(tmp_path, "elbow-y", 0.3, group="<b>")
    assert drawn_folders(tmp_path) == [tmp_path / "elbow-1"]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no picture")])
def test_a_picture_that_is_gone_or_damaged_does_not_stop_it(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    damage(drawn(tmp_path, "elbow-1", 0.3) / "image1.png")
    assert "picture missing" in written(tmp_path)


def test_its_own_page_is_replaced_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    drawn(tmp_path, "elbow-1", 0.3)
    refuse_foreign_index(tmp_path)
    first = written(tmp_path)
    drawn(tmp_path, "elbow-2", 0.3)
    refuse_foreign_index(tmp_path)
    assert written(tmp_path) != first
    (tmp_path / "index.html").write_text("<h1>mine</h1>")
    for ask in (lambda: refuse_foreign_index(tmp_path), lambda: written(tmp_path)):
        with pytest.raises(UsageError, match=r"index.html was not written by murace cam: choose another --out"):
            ask()
    assert (tmp_path / "index.html").read_text() == "<h1>mine</h1>"


@pytest.mark.parametrize("kind", ["folder", "link", "dangling"])
def test_what_is_no_plain_file_is_foreign(tmp_path: Path, kind: str) -> None:
    index = tmp_path / "index.html"
    if kind == "folder":
        index.mkdir()
    else:
        index.symlink_to(tmp_path / "elsewhere.html")
    if kind == "link":
        (tmp_path / "elsewhere.html").write_text('<meta name="generator" content="murace cam">')
    with pytest.raises(UsageError, match="not written by murace cam"):
        refuse_foreign_index(tmp_path)


def test_a_signal_leaves_the_old_page(tmp_path: Path) -> None:
    drawn(tmp_path, "elbow-1", 0.3)
    first = written(tmp_path)
    drawn(tmp_path, "elbow-2", 0.3)
    reporter = Reporter()
    reporter.signum = signal.SIGINT
    with pytest.raises(Interrupted):
        written(tmp_path, reporter=reporter)
    assert (tmp_path / "index.html").read_text() == first
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["index.html"]


def test_a_folder_that_is_not_cams_is_refused(tmp_path: Path) -> None:
    (drawn(tmp_path, "elbow-1", 0.3) / "begun.json").write_text("{}")
    with pytest.raises(UsageError, match="elbow-1 holds no finished overlays of murace cam"):
        write_index(tmp_path, [tmp_path / "elbow-1"], notes=[], reporter=Reporter(), threads=1)
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"group": ["hand"]},
        {"probability": "nan"},
        {"probability": 2},
        {"views": [{"file": 5, "probability": 0.5}]},
        {"views": [{"file": "../secret.png", "probability": 0.5}]},
        {"views": [{"file": "/secret.png", "probability": 0.5}]},
        {"learner": "a/b"},
        {"threshold": None},
    ],
)
def test_a_record_that_makes_no_sense_is_no_part_of_it(tmp_path: Path, change: dict[str, object]) -> None:
    good = drawn(tmp_path, "elbow-a", 0.5)
    bad = drawn(tmp_path, "elbow-b", 0.5)
    write_sealed(bad / "study.json", read_sealed(bad / "study.json") | change)
    assert drawn_folders(tmp_path) == [good]
