import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from murace.config import PrepareConfig
from murace.data import store
from murace.data.images.dicom.chain import NEXT_WINDOW, NO_WINDOW
from murace.data.ingest import chunks
from murace.errors import DataError, Interrupted, MachineError, UsageError, WorkspaceError
from murace.steps.prepare import Operation, Prepared, run
from murace.system.progress import Reporter
from murace.workspace import Rerun
from murace.workspace.paths import Workspace
from tests.data.files import dicom, make_manifest, make_mura, picture, png, read_grey

SIZE = 8


class Listener(Reporter):
    """Keeps what is said, counts what is read, and may ask to stop after so many images."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.said: list[str] = []
        self.read, self.stop_after = 0, stop_after

    def say(self, message):
        self.said.append(message)

    def check(self):
        self.read += 1
        if self.stop_after is not None and self.read > self.stop_after:
            self.signum = signal.SIGTERM
        super().check()


def prepare(source: Path, root: Path, reporter: Reporter | None = None, **settings) -> Prepared:
    config = PrepareConfig(**{"size": SIZE, **{k: settings.pop(k) for k in ("size", "fit", "seed") if k in settings}})
    rerun = Rerun(**{key: settings.pop(key) for key in ("force", "resume") if key in settings})
    operation = Operation(**{"jobs": 1, **settings})
    return run(source, Workspace(root), config, operation=operation, rerun=rerun, reporter=reporter or Listener())


def content(root: Path) -> dict[str, bytes]:
    """The results of a run."""
    names = ("index.csv", "pixels.npy", "fingerprints.csv", "remarks.csv", "counts.csv", "rejected.csv")
    return {name: (root / "prepare" / name).read_bytes() for name in names}


def rejected(root: Path) -> dict[str, str]:
    frame = pd.read_csv(root / "prepare" / "rejected.csv")
    return dict(zip(frame["path"], frame["reason"], strict=True))


@pytest.fixture
def mura(tmp_path):
    return make_mura(tmp_path / "MURA")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "work"


# What comes out


def test_line_i_of_the_index_is_pixels_i(mura, root):
    result = prepare(mura, root)
    index = store.read_index(root / "prepare/index.csv")
    pixels = store.open_pixels(root / "prepare/pixels.npy")
    assert list(index.columns) == store.COLUMNS
    assert pixels.shape == (64, SIZE, SIZE)
    assert np.load(root / "prepare/pixels.npy", allow_pickle=False).dtype == np.uint8
    for row in index.itertuples():
        original = read_grey(mura / row.path)
        assert (row.height, row.width) == original.shape
        assert np.abs(pixels[row.row] - original.reshape(SIZE, 3, SIZE, 2).mean(axis=(1, 3))).max() <= 0.51
    assert (result.images, result.studies, result.patients, result.rejected) == (64, 32, 32, 0)


def test_mura_valid_is_the_test_set_and_train_is_cut_by_patient(mura, root):
    prepare(mura, root)
    index = store.read_index(root / "prepare/index.csv")
    assert (index["path"].str.startswith("valid/") == (index["split"] == "test")).all()
    assert set(index["split"]) == {"train", "validation", "test"}
    assert (index.groupby("patient")["split"].nunique() == 1).all()


def test_table_1_counts_every_image_once_and_ends_with_overall(mura, root):
    result = prepare(mura, root)
    assert result.counts["group"].tolist() == ["elbow", "wrist", "overall"]
    assert result.counts.iloc[2, 1:].sum() == 64
    assert (result.counts.iloc[:2, 1:].sum() == result.counts.iloc[2, 1:]).all()
    assert (result.counts.iloc[0, 5:] == [8, 8]).all()
    assert pd.read_csv(root / "prepare/counts.csv").equals(result.counts)


def test_processes_and_file_order_change_nothing(mura, root, tmp_path, monkeypatch):
    prepare(mura, root)
    for name in ("train_image_paths.csv", "train_labeled_studies.csv"):
        lines = (mura / name).read_text().splitlines(keepends=True)
        (mura / name).write_text("".join(reversed(lines)))
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    prepare(mura, tmp_path / "other", jobs=3)
    assert content(tmp_path / "other") == content(root)


def test_no_id_stands_in_the_record_and_tables_with_ids_are_private(mura, root):
    prepare(mura, root)
    record = (root / "prepare/step.json").read_text()
    assert "patient0" not in record
    assert str(mura.parent) not in record
    for name in ("index.csv", "rejected.csv", "sources.csv"):
        assert stat.S_IMODE((root / "prepare" / name).stat().st_mode) == 0o600
    info = json.loads(record)["info"]
    assert (info["source_form"], info["patient_level"], info["synthetic"]) == ("mura", True, False)
    assert not (root / "prepare/partial").exists()
    assert not (root / "prepare/begun.json").exists()


def test_a_manifests_other_columns_follow_the_fixed_ones(tmp_path, root):
    prepare(make_manifest(tmp_path / "m", header="path,label,site", row="{path},{label},s{number}"), root)
    index = store.read_index(root / "prepare/index.csv")
    assert list(index.columns) == [*store.COLUMNS, "site"]
    assert index["site"].tolist() == [f"s{number}" for number in range(40)]
    assert Counter(index["split"]) == {"train": 29, "test": 6, "validation": 5}


def test_a_folder_of_murace_sample_is_known_as_synthetic(mura, root):
    (mura / "SYNTHETIC.txt").write_text("drawn")
    prepare(mura, root)
    assert json.loads((root / "prepare/step.json").read_text())["info"]["synthetic"] is True


# Files that will not do


def spoil(mura: Path) -> dict[str, str]:
    """Damage one file of each kind; path -> a word of the reason."""
    files = sorted((mura / "train").rglob("*.png"))
    good = files[0].read_bytes()
    files[1].write_bytes(b"")
    files[2].write_bytes(good[: len(good) // 2])
    files[3].unlink()
    files[4].write_text("<html>404")
    files[5].unlink()
    files[5].symlink_to("/etc/hostname")
    files[6].unlink()
    files[6].symlink_to(files[6].name)
    files[7].unlink()
    os.mkfifo(files[7])
    words = [
        "empty",
        "truncated",
        "missing",
        "not a PNG, JPEG or DICOM",
        "out of the source",
        "circle",
        "not a regular file",
    ]
    return {path.relative_to(mura).as_posix(): word for path, word in zip(files[1:], words, strict=False)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_unusable_file_is_named_in_one_run(mura, root, jobs, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 5)
    spoiled = spoil(mura)
    with pytest.raises(DataError, match=r"7 of 64 .*rejected\.csv.*--accept-rejects 7"):
        prepare(mura, root, jobs=jobs)
    reasons = rejected(root)
    assert reasons.keys() == spoiled.keys()
    assert all(word in reasons[path] for path, word in spoiled.items())
    assert not (root / "prepare/index.csv").exists()
    assert not (root / "prepare/begun.json").exists()


def test_accepted_rejects_leave_no_hole(mura, root):
    spoil(mura)
    with pytest.raises(DataError):
        prepare(mura, root, accept_rejects=6)
    reporter = Listener()
    result = prepare(mura, root, reporter, accept_rejects=7)
    assert "64 of 64 radiographs had been read before" in reporter.said
    assert (result.images, result.rejected) == (57, 7)
    index, pixels = store.read_index(root / "prepare/index.csv"), store.open_pixels(root / "prepare/pixels.npy")
    assert len(pixels) == len(index) == 57
    for row in (0, 1, 30, 56):
        original = read_grey(mura / index.loc[row, "path"])
        assert np.abs(pixels[row] - original.reshape(SIZE, 3, SIZE, 2).mean(axis=(1, 3))).max() <= 0.51


def test_one_in_a_hundred_passes_and_more_does_not(tmp_path, root):
    source = make_manifest(tmp_path / "m", count=100)
    (tmp_path / "m/image003.png").write_bytes(b"")
    assert prepare(source, root).rejected == 1
    (tmp_path / "m/image005.png").write_bytes(b"")
    with pytest.raises(DataError, match="2 of 100"):
        prepare(source, root)


def test_a_mislabelled_folder_is_rejected(mura, root):
    path = mura / "train_labeled_studies.csv"
    path.write_text(path.read_text().replace("patient00001/study1_negative/,0", "patient00001/study1_negative/,1"))
    assert prepare(mura, root, accept_rejects=2).rejected == 2
    assert all(reason.startswith("mislabelled") for reason in rejected(root).values())


def test_pictures_of_one_shade_and_of_twelve_bits_are_used_and_noted(tmp_path, root):
    source = make_manifest(tmp_path / "m")
    (tmp_path / "m/image003.png").write_bytes(png(np.full((9, 9), 7, np.uint8)))
    (tmp_path / "m/image004.png").write_bytes(png(np.arange(81, dtype=np.uint16).reshape(9, 9) * 50))
    notes = prepare(source, root).notes
    assert "1 images have a single shade" in notes
    assert "1 16-bit images use 12 bits at most and come out almost black" in notes


# Leaks and classes


def test_identical_files_in_two_given_splits_stop(mura, root):
    shutil.copy(
        mura / "train/XR_ELBOW/patient00001/study1_negative/image1.png",
        next((mura / "valid").rglob("image2.png")),
    )
    with pytest.raises(DataError, match=r"identical images .*patient00001.*\(train\)"):
        prepare(mura, root)


def test_patients_with_identical_files_stay_together_when_murace_cuts(tmp_path, root):
    source = make_manifest(tmp_path / "m", header="path,label,patient", row="{path},{label},p{number}")
    for number in range(0, 40, 2):  # pairs of patients
        shutil.copy(tmp_path / f"m/image{number:03d}.png", tmp_path / f"m/image{number + 1:03d}.png")
    result = prepare(source, root)
    index = store.read_index(root / "prepare/index.csv")
    assert (index.groupby("sha256")["split"].nunique() == 1).all()
    assert index["patient"].nunique() == 40
    assert any("20 pictures have both labels" in note for note in result.notes)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{path},0,hand,train", "overall train: 0 positive, 40 negative"),
        ("{path},{label},hand,train", "overall test: 0 positive, 0 negative"),
    ],
)
def test_a_split_with_one_class_or_none_stops_with_the_counts(tmp_path, root, row, words):
    with pytest.raises(DataError, match=words):
        prepare(make_manifest(tmp_path / "m", header="path,label,group,split", row=row), root)


def test_a_group_must_have_both_classes_in_training_and_need_not_elsewhere(tmp_path, root):
    source = make_manifest(tmp_path / "m", header="path,label,group,split", row="{path},{label},hand,train")
    lines = source.read_text().splitlines()
    for number, place in enumerate((5, 6, 7, 8, 9)):
        lines[place] = lines[place].replace("train", ("test", "test", "validation", "validation", "validation")[number])
    source.write_text("\n".join(lines).replace("image030.png,0,hand", "image030.png,0,foot"))
    with pytest.raises(DataError, match="foot train: 0 positive, 1 negative"):
        prepare(source, root)
    source.write_text(source.read_text().replace("image031.png,1,hand", "image031.png,1,foot"))
    notes = prepare(source, root).notes
    assert any("foot test: 0 positive, 0 negative" in note for note in notes)


# Again


def test_nothing_changed_is_skipped_without_reading(mura, root, monkeypatch):
    first = prepare(mura, root)
    before = {path: path.stat().st_mtime_ns for path in (root / "prepare").iterdir() if path.name != ".lock"}
    monkeypatch.setattr(chunks, "read", lambda _: pytest.fail("an image was read"))
    again = prepare(mura, root, jobs=2, accept_rejects=5)
    assert again.skipped
    assert not first.skipped
    assert again.counts.equals(first.counts)
    assert again.notes == first.notes
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_touched_file_is_no_change_and_another_content_is(mura, root):
    prepare(mura, root)
    image = next((mura / "train").rglob("*.png"))
    os.utime(image, (1, 1))
    assert prepare(mura, root).skipped
    image.write_bytes(png(picture(4711)))
    reporter = Listener()
    assert not prepare(mura, root, reporter).skipped
    assert "1 source files have changed" in reporter.said[0]


def test_a_change_is_named_and_runs(mura, root):
    prepare(mura, root)
    reporter = Listener()
    assert not prepare(mura, root, reporter, seed=5).skipped
    assert reporter.said == ["prepare: --seed 0 -> 5"]
    for path in ("train_image_paths.csv", "train_labeled_studies.csv"):
        lines = [line for line in (mura / path).read_text().splitlines() if "patient00001/" not in line]
        (mura / path).write_text("\n".join(lines) + "\n")
    assert prepare(mura, root, reporter, seed=5).patients == 31
    assert reporter.said[1:] == ["prepare: source has changed"]


def test_a_damaged_array_is_made_again(mura, root):
    prepare(mura, root)
    good = content(root)
    data = bytearray(good["pixels.npy"])
    data[-1] ^= 1
    (root / "prepare/pixels.npy").write_bytes(data)
    reporter = Listener()
    prepare(mura, root, reporter)
    assert "pixels.npy is damaged" in reporter.said[0]
    assert content(root) == good


def test_force_reads_everything_again(mura, root):
    prepare(mura, root)
    reporter = Listener()
    assert not prepare(mura, root, reporter, force=True).skipped
    assert reporter.read > 64


def test_an_interrupted_run_goes_on_where_it_was_with_the_same_result(mura, root, tmp_path, monkeypatch):
    prepare(mura, tmp_path / "undisturbed")
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with pytest.raises(Interrupted):
        prepare(mura, root, Listener(stop_after=30))
    with pytest.raises(WorkspaceError, match="--seed 0 -> 1"):
        prepare(mura, root, seed=1)
    reporter = Listener()
    prepare(mura, root, reporter)
    assert reporter.said == ["21 of 64 radiographs had been read before"]
    assert content(root) == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("jobs", [1, 2])
def test_remarks_are_the_same_after_an_interruption_and_from_several_processes(tmp_path, root, jobs, monkeypatch):
    source = make_manifest(tmp_path / "source", count=40)
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16)
    windows = {"image003.png": (0, 0), "image017.png": ([0, 99], [0, 50]), "image031.png": (0, 0)}
    for number, (name, (center, width)) in enumerate(windows.items()):
        given = {"BitsStored": 12, "WindowCenter": center, "WindowWidth": width}
        (source.parent / name).write_bytes(dicom(deep + number, **given))
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 4)
    with pytest.raises(Interrupted):
        prepare(source, root, Listener(stop_after=12))
    done = prepare(source, root, jobs=jobs)
    prepare(source, tmp_path / "undisturbed")
    assert content(root) == content(tmp_path / "undisturbed")
    index, remarks = (pd.read_csv(root / "prepare" / name) for name in ("index.csv", "remarks.csv"))
    listed = remarks.join(index.set_index("row"), on="row").sort_values("path")
    assert listed[["path", "remark"]].to_numpy().tolist() == [
        ["image003.png", NO_WINDOW], ["image017.png", NEXT_WINDOW], ["image031.png", NO_WINDOW]
    ]  # fmt: skip
    said = [note for note in done.notes if "remarks.csv" in note]
    assert said == [
        f"{count} images have {remark}; prepare/remarks.csv lists them"
        for count, remark in ((2, NO_WINDOW), (1, NEXT_WINDOW))
    ]


def test_fresh_throws_an_unfinished_run_away(mura, root, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with pytest.raises(Interrupted):
        prepare(mura, root, Listener(stop_after=30))
    reporter = Listener()
    prepare(mura, root, reporter, resume=False)
    assert reporter.said == ["prepare: --fresh: starting over"]
    assert reporter.read > 64


def test_a_file_that_changed_since_the_interruption_is_read_again(mura, root, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with pytest.raises(Interrupted):
        prepare(mura, root, Listener(stop_after=30))
    (mura / "train/XR_ELBOW/patient00001/study1_negative/image1.png").write_bytes(png(picture(4711)))
    reporter = Listener()
    prepare(mura, root, reporter)
    assert reporter.said == ["14 of 64 radiographs had been read before"]
    prepare(mura, tmp_path / "undisturbed")
    assert content(root) == content(tmp_path / "undisturbed")


def flip_a_bit(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


def test_rows_that_rotted_since_the_interruption_are_read_again(mura, root, tmp_path, monkeypatch):
    prepare(mura, tmp_path / "undisturbed")
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with pytest.raises(Interrupted):
        prepare(mura, root, Listener(stop_after=30))
    flip_a_bit(root / "prepare/partial/pixels.npy", 128 + 8 * SIZE**2 + 3)  # in row 8, of the second chunk
    reporter = Listener()
    prepare(mura, root, reporter)
    assert reporter.said == ["14 of 64 radiographs had been read before"]
    assert content(root) == content(tmp_path / "undisturbed")


def test_an_array_that_rotted_after_it_was_placed_is_read_again(mura, root, tmp_path, monkeypatch):
    def full(*_, **__):
        raise MachineError("disk full")

    prepare(mura, tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        patch.setattr("murace.steps.prepare.commit", full)
        with pytest.raises(MachineError):
            prepare(mura, root)
    flip_a_bit(root / "prepare/pixels.npy", -1)
    prepare(mura, root)
    assert content(root) == content(tmp_path / "undisturbed")


def test_a_run_stopped_after_the_array_was_placed_reads_nothing_again(mura, root, monkeypatch):
    def full(*_, **__):
        raise MachineError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("murace.steps.prepare.commit", full)
        with pytest.raises(MachineError):
            prepare(mura, root)
    assert (root / "prepare/pixels.npy").exists()
    monkeypatch.setattr(chunks, "read", lambda _: pytest.fail("an image was read"))
    assert prepare(mura, root).images == 64


def test_a_refused_source_may_be_mended_and_given_again(mura, root):
    files = sorted((mura / "train").rglob("*.png"))
    files[0].write_bytes(b"")
    with pytest.raises(DataError):
        prepare(mura, root)
    files[0].write_bytes(png(picture(1)))
    assert prepare(mura, root).rejected == 0
    assert rejected(root) == {}


def test_results_stay_when_the_next_source_is_refused(mura, root):
    prepare(mura, root)
    before = content(root)
    next((mura / "train").rglob("*.png")).write_bytes(b"")
    with pytest.raises(DataError):
        prepare(mura, root)
    assert {**content(root), "rejected.csv": b""} == {**before, "rejected.csv": b""}


# Machine


KILLED = """
import sys
from pathlib import Path
from murace.config import PrepareConfig
from murace.data.ingest import chunks
from murace.workspace import Rerun
from murace.steps.prepare import Operation, run
from murace.system.progress import Reporter
from murace.workspace.paths import Workspace
chunks.CHUNK_IMAGES = 2
run(Path(sys.argv[1]), Workspace(Path(sys.argv[2])), PrepareConfig(size=8), operation=Operation(jobs=2),
    rerun=Rerun(), reporter=Reporter())
"""


def test_a_killed_run_resumes_and_leaves_no_process_behind(tmp_path, root, monkeypatch):
    source = make_manifest(tmp_path / "m", count=400)
    prepare(source, tmp_path / "undisturbed")
    process = subprocess.Popen([sys.executable, "-c", KILLED, source, root], env={**os.environ, "PYTHONPATH": "."})
    notes = root / "prepare/partial"
    wait_for(lambda: len(list(notes.glob("chunk-*.json"))) > 3 or process.poll() is not None)
    process.kill()
    process.wait()
    wait_for(lambda: not readers(notes))
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 2)
    reporter = Listener()
    prepare(source, root, reporter)
    assert "had been read before" in reporter.said[0]
    assert content(root) == content(tmp_path / "undisturbed")


def wait_for(condition) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


def readers(folder: Path) -> list[Path]:
    """Reading processes of a run whose scratch is `folder`: their job names it, so they have its files open."""
    return [process for process in Path("/proc").glob("[0-9]*") if _has_open(process, folder)]


def _has_open(process: Path, folder: Path) -> bool:
    try:
        if b"murace.data.ingest.worker" not in (process / "cmdline").read_bytes():
            return False
        return any(str(folder) in str(link.readlink()) for link in (process / "fd").iterdir())
    except OSError:  # it has just ended
        return False


def test_ctrl_c_at_the_terminal_reaches_only_the_parent(mura, root, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    groups = set()

    class Terminal(Listener):
        def check(self):
            for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                if b"murace.data.ingest.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    groups.add(os.getpgid(int(child)))

    prepare(mura, root, Terminal(), jobs=2)
    assert groups
    assert os.getpgid(0) not in groups


def test_a_handful_of_images_is_read_without_waiting_for_processes(mura, root, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    assert prepare(mura, root, jobs=8).images == 64


def test_a_dead_reading_process_is_an_error_of_the_machine(mura, root, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(MachineError, match="--jobs"):
        prepare(mura, root, jobs=2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_full_disk_is_one_line_and_the_run_can_be_finished(mura, root, jobs, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 7)
    with monkeypatch.context() as patch:
        patch.setattr("murace.data.ingest.pixelfile.create", lambda *_: None)
        patch.setattr("murace.data.ingest.read_all.Scratch.pixels", Path("/dev/full"))
        patch.setattr("murace.data.ingest.pixelfile.offset_of", lambda _: 0)
        with pytest.raises(MachineError, match="disk full"):
            prepare(mura, root, jobs=jobs)
    assert prepare(mura, root).images == 64


def test_too_little_room_is_said_before_anything_is_read(mura, root, monkeypatch):
    usage = shutil.disk_usage(mura)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(chunks, "read", lambda _: pytest.fail("an image was read"))
    with pytest.raises(MachineError, match="free"):
        prepare(mura, root)


@pytest.mark.parametrize("settings", [{"jobs": 0}, {"accept_rejects": -1}, {"preview": Path("figure.jpg")}])
def test_impossible_wishes_are_usage_errors(settings):
    with pytest.raises(UsageError):
        Operation(**settings)


def test_preparing_never_loads_torch():
    """It would take half a gigabyte of the memory that this step may use."""
    code = "import sys; import murace.steps.prepare, murace.data.ingest.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Figure 1


def test_the_preview_is_drawn_and_drawn_again_when_skipping(mura, root, tmp_path):
    prepare(mura, root, preview=tmp_path / "figure.png")
    first = (tmp_path / "figure.png").read_bytes()
    assert read_grey(tmp_path / "figure.png").shape[1] > 1000
    (tmp_path / "figure.png").unlink()
    assert prepare(mura, root, preview=tmp_path / "figure.png").skipped
    assert (tmp_path / "figure.png").read_bytes() == first


# Real radiographs


@pytest.mark.skipif("MURACE_FRACATLAS" not in os.environ, reason="MURACE_FRACATLAS does not name the FracAtlas folder")
def test_real_radiographs_are_prepared(tmp_path, root):
    folder = Path(os.environ["MURACE_FRACATLAS"])
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    part = pd.concat([own.head(12) for _, own in table.groupby(["group", "label"])])
    (tmp_path / "m").mkdir()
    (tmp_path / "m/images").symlink_to(folder / "images")
    part.to_csv(tmp_path / "m/manifest.csv", index=False)
    with pytest.raises(DataError):  # links that lead out of the source
        prepare(tmp_path / "m/manifest.csv", root, size=32)
    (tmp_path / "m/images").unlink()
    (tmp_path / "m/images").mkdir()
    for path in part["path"]:
        shutil.copy(folder / path, tmp_path / "m" / path)
    result = prepare(tmp_path / "m/manifest.csv", root, size=32, jobs=2)
    assert (result.images, result.rejected) == (len(part), 0)
    index = store.read_index(root / "prepare/index.csv")
    assert list(index.columns[-5:]) == ["hardware", "multiscan", "frontal", "lateral", "oblique"]
    assert store.open_pixels(root / "prepare/pixels.npy").std(axis=(1, 2)).min() > 5
