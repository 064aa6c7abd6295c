import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from murace.config import PrepareConfig
from murace.data.store import read_frame
from murace.errors import DataError, Interrupted, WorkspaceError
from murace.steps import audit, prepare
from murace.system.opencv import cv2
from murace.system.progress import Reporter
from murace.workspace import Rerun, State, examine
from murace.workspace.paths import Workspace
from tests.data.audit.test_near import film
from tests.data.files import png

SIDE = 192


class Listener(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, message):
        self.said.append(message)


def prepared(source: Path, root: Path, *, fit: str = "squash", accept: int | None = None) -> Workspace:
    operation = prepare.Operation(jobs=1, accept_rejects=accept)
    config = PrepareConfig(size=64, fit=fit)
    prepare.run(source, Workspace(root), config, operation=operation, rerun=Rerun(), reporter=Reporter())
    return Workspace(root)


def audited(workspace: Workspace, reporter: Reporter | None = None, **rerun: bool) -> audit.Audited:
    return audit.run(workspace, rerun=Rerun(**rerun), reporter=reporter or Reporter())


class Films:
    """A manifest with given splits: 60 pictures, 30 of them in test; `put` plants another one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.rows = folder, []
        folder.mkdir()
        for number in range(60):
            self.put(png(film(number, SIDE)), split="test" if number % 2 else ("train", "validation")[number % 4 // 2])

    def put(self, data: bytes, *, split: str, label: int | None = None, patient: str | None = None) -> str:
        number = len(self.rows)
        name = f"image{number:03d}.png"
        (self.folder / name).write_bytes(data)
        label = number // 4 % 2 if label is None else label
        self.rows.append((name, label, patient or f"p{number}", f"s{number}", split))
        return name

    def source(self) -> Path:
        frame = pd.DataFrame(self.rows, columns=["path", "label", "patient", "study", "split"])
        frame.to_csv(self.folder / "manifest.csv", index=False)
        return self.folder / "manifest.csv"


@pytest.fixture
def films(tmp_path) -> Films:
    return Films(tmp_path / "films")


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "work"


def recompressed(square: np.ndarray, quality: int = 60) -> bytes:
    small = cv2.resize(square, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def rows_of(result: audit.Audited, kind: str) -> list[str]:
    return result.findings.loc[result.findings["kind"] == kind, "rows"].tolist()


# Found


def test_a_clean_set_has_no_finding(films, root):
    result = audited(prepared(films.source(), root))
    assert result.findings.empty
    assert set(result.counts.values()) == {0}
    assert result.sheet.is_file()


def test_copies_in_other_splits_are_found_and_drawn(films, root):
    films.put(recompressed(film(0, SIDE)), split="test")  # row 60; rows 0 and 4 are training's
    films.put(png(np.ascontiguousarray(np.rot90(film(4, SIDE)))), split="test")
    films.put(png(255 - film(8, SIDE)), split="test")
    result = audited(prepared(films.source(), root))
    assert sorted(rows_of(result, "near-duplicate")) == ["0 60", "4 61", "8 62"]
    details = dict(zip(result.findings["rows"], result.findings["detail"], strict=True))
    assert details == {"0 60": "as it is", "4 61": "turned a quarter", "8 62": "as it is, inverted"}
    assert (result.findings["splits"] == "train test").all()
    assert cv2.imread(str(result.sheet)).shape[1] > 1000


def test_a_smaller_copy_is_found_where_pictures_are_padded(films, root):
    wide = film(300, 400)[:262]  # 64 x 42 in the square; of half the size 64 x 42 too, but of other rows
    films.put(png(wide), split="train")
    films.put(png(cv2.resize(wide, (197, 131), interpolation=cv2.INTER_AREA)), split="test")
    assert rows_of(audited(prepared(films.source(), root, fit="pad")), "near-duplicate") == ["60 61"]


def test_odd_pictures_and_label_conflicts_are_listed_by_row(films, root):
    films.put(png(np.full((70, 70), 9, np.uint8)), split="train")
    films.put(png(np.dstack([film(90, SIDE), film(90, SIDE), film(91, SIDE)])), split="train")
    films.put(png(film(92, 30)), split="train")
    films.put(png(film(0, SIDE)), split="train", label=1)
    result = audited(prepared(films.source(), root))
    found = {kind: rows_of(result, kind) for kind in set(result.findings["kind"])}
    assert found == {
        "one shade": ["60"], "colour": ["61"], "odd size": ["62"], "both labels": ["0 63"], "same file": ["0 63"],
    }  # fmt: skip


def test_what_prepare_says_is_what_audit_finds(films, root):
    films.put(recompressed(film(0, SIDE)), split="test")
    workspace = prepared(films.source(), root)
    info = json.loads((root / "prepare/step.json").read_text())["info"]
    assert info["findings"] == audited(workspace).counts
    assert info["notes"] == [
        "1 pairs of images in different splits show the same radiograph (resized, recompressed, turned or inverted): "
        "results may be too good"
    ]


def test_an_empty_study_is_counted(films, root):
    films.put(b"", split="train")
    assert audited(prepared(films.source(), root, accept=1)).counts["empty study"] == 1


# Stopped


def stopped(films: Films, root: Path) -> tuple[str, dict[str, str]]:
    """The message of a `prepare` that refuses, and what it has listed."""
    with pytest.raises(DataError) as stop:
        prepared(films.source(), root)
    path = root / "prepare/rejected.csv"
    assert str(path) in str(stop.value)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (root / "prepare/begun.json").exists()
    frame = pd.read_csv(path)
    return str(stop.value), dict(zip(frame["path"], frame["reason"], strict=True))


def test_identical_pixels_in_two_given_splits_stop_and_all_are_listed(films, root):
    twins = [films.put(cv2.imencode(".png", film(4 * n, SIDE), [16, 0])[1].tobytes(), split="test") for n in range(8)]
    message, listed = stopped(films, root)
    assert "8 times (0 the same file, 8 only the same pixels)" in message
    assert listed.keys() == {*twins, *(f"image{4 * n:03d}.png" for n in range(8))}
    assert all(reason.startswith("identical pixels in two given splits: ") for reason in listed.values())


def test_patients_in_two_given_splits_stop_and_all_their_images_are_listed(films, root):
    more = [films.put(png(film(200 + n, SIDE)), split="test", patient=f"p{4 * n}") for n in range(8)]
    message, listed = stopped(films, root)
    assert "in two splits: 8 patients" in message
    assert listed.keys() == {*more, *(f"image{4 * n:03d}.png" for n in range(8))}
    assert listed[more[0]] == "patient in two splits: patient p0, split test"


def test_unusable_files_stand_in_the_same_list(films, root):
    films.put(b"", split="train")
    films.put(png(film(0, SIDE)), split="test")
    with pytest.raises(DataError, match="identical images"):
        prepared(films.source(), root, accept=1)
    listed = pd.read_csv(root / "prepare/rejected.csv").set_index("path")["reason"]
    assert listed["image060.png"] == "empty file"
    assert {"image000.png", "image061.png"} < set(listed.index)


def test_pixel_identical_patients_stay_together_when_murace_cuts(films, root):
    for number in range(0, 60, 2):  # every second patient has a twin with the same pixels in another file
        films.put(cv2.imencode(".png", film(number, SIDE), [16, 0])[1].tobytes(), split="")
    frame = pd.read_csv(films.source()).drop(columns="split")
    frame.to_csv(films.folder / "manifest.csv", index=False)
    workspace = prepared(films.folder / "manifest.csv", root)
    index, prints = (read_frame(path) for path in (workspace.prepare.index, workspace.prepare.fingerprints))
    assert index["sha256"].is_unique
    assert (index["split"].groupby(prints["pixels"]).nunique() == 1).all()
    result = audited(workspace)
    assert (result.counts["same pixels"], result.counts["near-duplicate"]) == (30, 0)


# The step


def test_run_twice_it_skips_and_a_changed_source_runs_again(films, root):
    workspace = prepared(films.source(), root)
    first = audited(workspace)
    before = {path: path.stat().st_mtime_ns for path in (root / "audit").iterdir() if path.name != ".lock"}
    again = audited(workspace)
    assert (first.skipped, again.skipped) == (False, True)
    assert again.counts == first.counts
    assert {path: path.stat().st_mtime_ns for path in before} == before
    films.put(recompressed(film(0, SIDE)), split="test")
    prepared(films.source(), root)
    assert examine(root / "audit")[0] is State.STALE
    reporter = Listener()
    assert audited(workspace, reporter).counts["near-duplicate"] == 1
    assert "audit: prepare/index.csv has changed" in reporter.said
    assert not audited(workspace, force=True).skipped


def test_findings_are_the_same_again_and_hold_no_id(films, root):
    films.put(recompressed(film(0, SIDE)), split="test")
    workspace = prepared(films.source(), root)
    first = audited(workspace)
    files = {name: (root / "audit" / name).read_bytes() for name in ("findings.csv", "contact-sheet.png")}
    again = audited(workspace, force=True)
    assert {name: (root / "audit" / name).read_bytes() for name in files} == files
    assert again.findings.equals(first.findings)
    for path in (root / "audit/findings.csv", root / "audit/step.json", root / "prepare/fingerprints.csv"):
        text = path.read_text()
        assert "image0" not in text
        assert str(films.folder) not in text
    assert stat.S_IMODE((root / "audit/contact-sheet.png").stat().st_mode) == 0o600


def test_an_interrupted_run_is_done_again(films, root):
    workspace = prepared(films.source(), root)
    reporter = Reporter()
    reporter.signum = 15
    with pytest.raises(Interrupted):
        audited(workspace, reporter)
    assert examine(root / "audit")[0] is State.PARTIAL
    assert not audited(workspace).skipped
    assert examine(root / "audit")[0] is State.DONE


def test_a_workspace_without_fingerprints_is_refused_with_what_mends_it(prepared_before_them):
    with pytest.raises(WorkspaceError, match=r"older murace.*Run: murace prepare SOURCE --size 64 --force$"):
        audited(prepared_before_them)
    assert not prepared_before_them.audit.folder.exists()


@pytest.fixture
def prepared_before_them(tmp_path) -> Workspace:
    from tests.workshop import tiny_workspace

    return tiny_workspace(tmp_path / "old")


@pytest.mark.parametrize("name", ["index.csv", "fingerprints.csv", "pixels.npy"])
def test_damaged_input_is_never_built_upon(films, root, name):
    workspace = prepared(films.source(), root)
    path = root / "prepare" / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(WorkspaceError, match=rf"{name} is damaged.*Run: murace prepare SOURCE"):
        audited(workspace)


def test_without_prepare_nothing_is_written(root):
    with pytest.raises(WorkspaceError, match="Run: murace prepare SOURCE"):
        audited(Workspace(root))
    assert not root.exists()


def test_the_report_tells_what_was_found(films, root):
    from murace.steps.evaluate.contents import notes
    from murace.workspace import read

    films.put(recompressed(film(0, SIDE)), split="test")
    workspace = prepared(films.source(), root)
    record = read(workspace.prepare.folder)
    assert record is not None
    assert any("1 pairs of images in different splits" in note for note in notes(record, [trained()]))


def trained():
    from murace.workspace import Record

    return Record(
        step="train", params={"width": 1.0, "epochs": 100, "learner": "convnet", "batch_size": 32}, consumed={}
    )


# Real radiographs


def test_real_copies_are_found(fracatlas, tmp_path):
    """FracAtlas has files with identical pixels, one of them with both labels, and edited copies of a radiograph."""
    folder = tmp_path / "m"
    table = pd.read_csv(fracatlas / "manifest.csv", dtype=str)
    wanted = [0, 1, 2, 3, 4, 5, 6, 691, 744, 1430, 2177, 1603, 2201, 2206, *range(100, 180)]
    part = table.iloc[wanted][["path", "label"]].reset_index(drop=True)
    for path in part["path"]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fracatlas / path, folder / path)
    edited = {table["path"][691], table["path"][744]}
    part["split"] = [
        "test" if path in edited else ("train", "validation", "test")[n // 2 % 3] for n, path in enumerate(part["path"])
    ]
    same = {table["path"][row] for row in (3, 5, 1430, 2177, 1603, 2201, 2206)}
    part.loc[part["path"].isin(same | {table["path"][1], table["path"][4]}), "split"] = "train"
    part.loc[[20, 21, 22, 23], "label"] = "1"
    part.to_csv(folder / "manifest.csv", index=False)
    result = audited(prepared(folder / "manifest.csv", tmp_path / "work"))
    assert (result.counts["near-duplicate"], result.counts["both labels"]) == (2, 1)
    assert (result.counts["same file"], result.counts["same pixels"]) == (2, 2)
