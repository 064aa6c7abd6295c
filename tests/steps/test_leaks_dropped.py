"""`prepare --leaks`: identical pictures on two sides of a given split, dropped on one of them and counted."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from murace.config import PrepareConfig
from murace.data import store
from murace.data.ingest import chunks
from murace.errors import DataError, Interrupted, UsageError, WorkspaceError
from murace.report.sections.tables import counts_table
from murace.steps import audit
from murace.steps.evaluate.contents import notes
from murace.steps.prepare import Operation, Prepared, run
from murace.system.opencv import cv2
from murace.system.progress import Reporter
from murace.workspace import Rerun, read
from murace.workspace.commands import command
from murace.workspace.paths import Workspace
from tests.data.files import make_manifest, make_mura, picture, png
from tests.report import made_up
from tests.steps.test_audit import trained
from tests.steps.test_prepare import Listener, content

SPLITS = ("train", "validation", "test")
HEADER = "path,label,group,patient,study,split"


def prepare(source: Path, root: Path, reporter: Reporter | None = None, **settings: str) -> Prepared:
    config, operation = PrepareConfig(size=8, **settings), Operation(jobs=1)
    return run(source, Workspace(root), config, operation=operation, rerun=Rerun(), reporter=reporter or Listener())


def source(folder: Path, *copies: tuple[int, int, str]) -> Path:
    """48 pictures, 16 of each split in its turn (0, 3, 6 ... are training's); then copies: of which, label, split."""
    path = make_manifest(folder, count=48)
    lines = [HEADER]
    for number in range(48):
        lines.append(f"image{number:03d}.png,{number % 2},g{number % 4 // 2},p{number},s,{SPLITS[number % 3]}")
    for place, (of, label, split) in enumerate(copies):
        shutil.copy(folder / f"image{of:03d}.png", folder / f"copy{place}.png")
        lines.append(f"copy{place}.png,{label},g{of % 4 // 2},c{place},s,{split}")
    path.write_text("\n".join(lines) + "\n")
    return path


def index(root: Path) -> pd.DataFrame:
    return store.read_index(root / "prepare/index.csv")


def rejected(root: Path) -> dict[str, str]:
    frame = pd.read_csv(root / "prepare/rejected.csv")
    return dict(zip(frame["path"], frame["reason"], strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "work"


COPIES = ((0, 0, "test"), (3, 0, "validation"), (1, 1, "test"), (6, 0, "validation"), (6, 0, "test"), (9, 1, "train"))
REASON = "dropped by --leaks: the same picture is in "


@pytest.mark.parametrize(
    ("leaks", "dropped"),
    [
        ("drop-train", {"image000": "test", "image003": "validation", "image001": "test", "image006": "test",
                        "copy3": "test"}),
        ("drop-test", {"copy0": "train", "copy1": "train", "copy2": "validation", "copy3": "train", "copy4": "train"}),
    ],
)  # fmt: skip
def test_one_side_goes_and_the_other_stays(tmp_path: Path, root: Path, leaks: str, dropped: dict[str, str]) -> None:
    path = source(tmp_path / "m", *COPIES)
    with pytest.raises(DataError, match="--leaks drop-train"):
        prepare(path, root)
    reporter = Listener()
    done = prepare(path, root, reporter, leaks=leaks)
    assert "54 of 54 radiographs had been read before" in reporter.said
    assert rejected(root) == {f"{name}.png": REASON + split for name, split in dropped.items()}
    frame = index(root)
    listed = {*(f"image{number:03d}.png" for number in range(48)), *(f"copy{number}.png" for number in range(6))}
    assert set(frame["path"]) == listed - rejected(root).keys()
    assert (done.images, done.rejected, len(frame)) == (49, 0, 49)
    pixels = frame["split"].groupby(frame["sha256"]).nunique()
    assert (pixels == 1).all()
    given = dict(line.split(",")[0::5] for line in path.read_text().splitlines()[1:])
    assert (frame["split"] == frame["path"].map(given)).all()
    array = store.open_pixels(root / "prepare/pixels.npy")
    prepare(path, tmp_path / "again", leaks=leaks)
    assert (array == store.open_pixels(tmp_path / "again/prepare/pixels.npy")).all()
    assert len(array) == 49


def test_the_dropped_are_counted_in_table_1_the_record_the_report_and_the_audit(tmp_path: Path, root: Path) -> None:
    done = prepare(source(tmp_path / "m", *COPIES), root, leaks="drop-train")
    table = pd.read_csv(root / "prepare/counts.csv").set_index("group")
    assert table.loc["overall", ["train_dropped", "validation_dropped", "test_dropped"]].tolist() == [3, 2, 0]
    assert table.loc[["g0", "g1"], "train_dropped"].tolist() == [1, 2]
    record = read(root / "prepare")
    assert record is not None
    assert record.params["leaks"] == "drop-train"
    assert record.info["dropped"] == done.dropped
    assert record.info["unusable"] == {"dropped by --leaks": 5}
    sentence = (
        "images dropped, since the same picture is in another split: 3 of training, 2 of validation; 1 had another "
        "label than the copy that stays; 5 studies lost all their images"
    )
    assert sentence in done.notes
    assert f"{sentence} (--leaks)." in notes(record, [trained()])
    shown = counts_table(replace(made_up.contents(), counts=done.counts))
    assert [column.name for column in shown.columns][-2:] == ["Total", "Dropped"]
    assert [row.cells[-1].text for row in shown.blocks[0].rows] == ["2", "3", "5"]
    audited = audit.run(Workspace(root), rerun=Rerun(), reporter=Reporter())
    assert (audited.dropped, audited.counts["empty study"]) == (5, 0)
    assert command(Workspace(root), "prepare") == "murace prepare SOURCE --size 8 --leaks drop-train"


def test_other_images_of_the_patients_are_counted_and_stay(tmp_path: Path, root: Path) -> None:
    path = source(tmp_path / "m", (0, 0, "test"))
    (tmp_path / "m/more.png").write_bytes(png(picture(900)))
    path.write_text(path.read_text() + "more.png,0,g0,p0,s,train\n")
    done = prepare(path, root, leaks="drop-train")
    assert any(note.endswith("1 other images of the same patients stay in their split") for note in done.notes)
    assert "more.png" in set(index(root)["path"])


def test_without_a_leak_nothing_is_dropped_and_the_pixels_are_the_same(tmp_path: Path, root: Path) -> None:
    path = source(tmp_path / "m", (9, 1, "train"))
    prepare(path, root)
    other = tmp_path / "other"
    assert prepare(path, other, leaks="drop-test").dropped == {}
    same = ("index.csv", "pixels.npy", "rejected.csv")
    assert {name: content(root)[name] for name in same} == {name: content(other)[name] for name in same}


def test_copies_of_the_same_pixels_in_another_file_are_dropped_too(tmp_path: Path, root: Path) -> None:
    path = source(tmp_path / "m", (0, 0, "test"))
    (tmp_path / "m/copy0.png").write_bytes(cv2.imencode(".png", picture(0), [cv2.IMWRITE_PNG_COMPRESSION, 0])[1])
    assert (tmp_path / "m/copy0.png").read_bytes() != (tmp_path / "m/image000.png").read_bytes()
    prepare(path, root, leaks="drop-train")
    assert rejected(root) == {"image000.png": f"{REASON}test"}


def test_mura_drops_on_either_side_and_cuts_what_is_left(tmp_path: Path) -> None:
    folder = make_mura(tmp_path / "MURA")
    ours = sorted((folder / "train").rglob("*.png"))[:3]
    theirs = sorted((folder / "valid").rglob("*.png"))[:3]
    for one, other in zip(ours, theirs, strict=True):
        shutil.copy(one, other)
    for leaks, gone in (("drop-train", ours), ("drop-test", theirs)):
        root = tmp_path / leaks
        done = prepare(folder, root, leaks=leaks)
        assert done.images == 61
        assert rejected(root).keys() == {path.relative_to(folder).as_posix() for path in gone}
        assert set(index(root)["split"]) == set(SPLITS)
        assert (index(root).groupby("patient")["split"].nunique() == 1).all()


def test_a_split_that_is_gone_is_refused_with_what_was_dropped(tmp_path: Path, root: Path) -> None:
    path = source(tmp_path / "m")
    for place in range(2, 48, 3):  # every test picture is one of training's
        shutil.copy(tmp_path / f"m/image{place - 2:03d}.png", tmp_path / f"m/image{place:03d}.png")
    with pytest.raises(DataError, match=r"overall test: 0 positive, 0 negative \(images dropped, .*16 of test"):
        prepare(path, root, leaks="drop-test")


def test_a_patient_in_two_splits_stays_refused(tmp_path: Path, root: Path) -> None:
    path = source(tmp_path / "m", (0, 0, "test"))
    path.write_text(path.read_text().replace(",c0,", ",p0,"))
    with pytest.raises(DataError, match="in two splits: 1 patient: p0"):
        prepare(path, root, leaks="drop-train")


@pytest.mark.parametrize("leaks", ["drop-train", "drop-test"])
def test_without_a_given_split_it_is_usage(tmp_path: Path, root: Path, leaks: str) -> None:
    with pytest.raises(UsageError, match=f"--leaks {leaks} mends a split that the data give.* no column split"):
        prepare(make_manifest(tmp_path / "m"), root, leaks=leaks)


def test_an_unfinished_run_goes_on_with_the_same_answer_alone(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = source(tmp_path / "m", *COPIES)
    prepare(path, tmp_path / "undisturbed", leaks="drop-train")
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with pytest.raises(Interrupted):
        prepare(path, root, Listener(stop_after=30), leaks="drop-train")
    with pytest.raises(WorkspaceError, match=re.escape("--leaks drop-train -> refuse")):
        prepare(path, root)
    reporter = Listener()
    prepare(path, root, reporter, leaks="drop-train")
    assert re.fullmatch(r"[1-9]\d* of 54 radiographs had been read before", reporter.said[0])
    assert content(root) == content(tmp_path / "undisturbed")
    assert prepare(path, root, leaks="drop-train").skipped
