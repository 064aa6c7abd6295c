import errno
import json
import os
import shutil
import signal
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from murace.config import Machine, PredictConfig
from murace.data.images import decode
from murace.data.images.dicom.chain import NO_WINDOW
from murace.errors import DataError, Interrupted, MachineError, UsageError, WorkspaceError
from murace.explain.cam import MapMethod
from murace.explain.cam.method import MAP_FUNCTIONS
from murace.explain.overlays import draw
from murace.nets.forward import AT_ONCE
from murace.nets.trained import TrainedNet
from murace.steps import cam, predict
from murace.system.progress import Bar, Reporter
from murace.workspace import Rerun, writing
from murace.workspace.paths import Workspace
from tests.data.files import dicom
from tests.processes import together
from tests.workshop import CPU, SIZE


def study(root: Path, *, name: str = "XR_ELBOW/patient00001/study1_positive", views: int = 2) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for view in range(views):
        picture = np.random.default_rng(view).integers(0, 255, (120 + 30 * view, 90), dtype=np.uint8)
        cv2.imwrite(str(folder / f"image{view + 1}.png"), picture)
    return folder


def run(
    workspace: Workspace,
    *paths: Path,
    out: Path,
    group: str | None = None,
    force: bool = False,
    reporter: Reporter | None = None,
    machine: Machine = CPU,
    map_method: MapMethod = MapMethod(),  # noqa: B008 - frozen
) -> list[cam.StudyOverlays]:
    done = cam.run(
        workspace,
        paths,
        map_method=map_method,
        group=group,
        out=out,
        machine=machine,
        reporter=reporter or Reporter(),
        force=force,
    )
    if done.error is not None:
        raise done.error
    return done.studies


def run_all(
    workspace: Workspace, *paths: Path, out: Path, group: str | None = None, each_file: bool = False
) -> cam.Drawn:
    return cam.run(
        workspace,
        paths,
        map_method=MapMethod(),
        group=group,
        each_file=each_file,
        out=out,
        machine=CPU,
        reporter=Reporter(),
    )


def several(root: Path, *views: int) -> list[Path]:
    """Studies with so many views each, of the two groups in turn."""
    names = [f"XR_{'ELBOW' if number % 2 else 'WRIST'}/patient{number:05}/study1_positive" for number in range(9)]
    return [study(root, name=name, views=count) for name, count in zip(names, views, strict=False)]


class Interrupting(Reporter):
    """A signal comes when so many studies are done."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        bar = Bar()
        if title == "studies":
            bar.advance = self.advance  # type: ignore[method-assign]
        yield bar

    def advance(self, by: int = 1, note: str = "") -> None:
        self.left -= by
        if self.left == 0:
            self.signum = signal.SIGINT


def whole_or_unfinished(out: Path) -> list[bool]:
    """Of each study folder, whether it is finished: then everything is there, and nothing else."""
    found = []
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        names = {path.name for path in folder.iterdir()}
        found.append("study.json" in names and "begun.json" not in names)
        if found[-1]:
            content = json.loads((folder / "study.json").read_text())
            assert names == {"study.json"} | {view["file"] for view in content["views"]}
    return found


def test_every_view_is_drawn_and_the_record_comes_last(finished: Workspace, tmp_path: Path) -> None:
    (done,) = run(finished, study(tmp_path), out=tmp_path / "out")
    assert done.folder == tmp_path / "out" / "elbow-patient00001-study1"
    assert {path.name for path in done.folder.iterdir()} == {"image1.png", "image2.png", "study.json"}
    content = json.loads((done.folder / "study.json").read_text())
    assert content["group"] == "elbow"
    assert content["probability"] == pytest.approx(np.mean([view["probability"] for view in content["views"]]))
    roster = json.loads(finished.calibrate.roster.read_text())
    assert content["learner"] == roster["groups"]["elbow"]["learner"]
    assert len(content["model_sha256"]) == 64
    overlay = cv2.imread(str(done.folder / "image2.png"))
    assert overlay.shape[0] >= 150  # the original's own resolution, or larger


def test_done_studies_are_skipped_until_something_changes(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path)
    run(finished, folder, out=tmp_path / "out")
    assert run(finished, folder, out=tmp_path / "out")[0].skipped
    assert not run(finished, folder, out=tmp_path / "out", force=True)[0].skipped
    cv2.imwrite(str(folder / "image1.png"), np.zeros((99, 99), np.uint8))
    assert not run(finished, folder, out=tmp_path / "out")[0].skipped


def test_a_killed_drawing_is_done_again(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path)
    (done,) = run(finished, folder, out=tmp_path / "out")
    record = done.folder / "study.json"
    record.unlink()
    (done.folder / "begun.json").write_text('{"files": ["image1.png", "image2.png"]}')
    run(finished, folder, out=tmp_path / "out")
    assert whole_or_unfinished(tmp_path / "out") == [True]
    (done.folder / "begun.json").write_text('{"files": ["image1.png", "image2.png"]}')  # beside the record
    assert not run(finished, folder, out=tmp_path / "out")[0].skipped
    assert whole_or_unfinished(tmp_path / "out") == [True]


def test_foreign_files_are_never_overwritten(finished: Workspace, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "elbow-patient00001-study1" / "image1.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(UsageError, match="was not written by murace cam"):
        run(finished, study(tmp_path), out=tmp_path / "out")
    assert foreign.read_text() == "mine"


def test_the_group_comes_from_the_path_or_the_option_or_is_asked_for(finished: Workspace, tmp_path: Path) -> None:
    nameless = study(tmp_path, name="somewhere/else")
    with pytest.raises(UsageError, match=r"looks like none .* \(elbow, wrist\); name it with --group"):
        run(finished, nameless, out=tmp_path / "out")
    with pytest.raises(UsageError, match="unknown group 'wirst'; did you mean 'wrist'"):
        run(finished, nameless, out=tmp_path / "out", group="wirst")
    with pytest.raises(UsageError, match="its path says hand: this ensemble knows elbow, wrist"):
        run(finished, study(tmp_path, name="XR_HAND/patient00001/study1_negative"), out=tmp_path / "out")
    (done,) = run(finished, nameless, out=tmp_path / "out", group="wrist")
    assert done.folder.name.startswith("wrist-")
    assert "else" not in done.folder.name


def test_image_files_of_one_folder_are_one_study(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path)
    (done,) = run(finished, folder / "image1.png", folder / "image2.png", out=tmp_path / "out")
    assert len(done.content["views"]) == 2


def test_image_files_elsewhere_are_each_their_own(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path, name="pictures")
    done = run(finished, folder / "image1.png", folder / "image2.png", out=tmp_path / "out", group="wrist")
    assert [len(item.content["views"]) for item in done] == [1, 1]
    assert done[0].folder != done[1].folder
    (again,) = run(finished, folder / "image2.png", out=tmp_path / "out", group="wrist")
    assert again.skipped


def test_bad_paths_and_bad_views_are_data_errors(finished: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        run(finished, tmp_path / "nowhere", out=tmp_path / "out")
    empty = tmp_path / "XR_ELBOW" / "patient00009" / "study1_positive"
    empty.mkdir(parents=True)
    with pytest.raises(DataError, match="holds no PNG, JPEG or DICOM"):
        run(finished, empty, out=tmp_path / "out")
    (empty / "image1.png").write_bytes(b"<html>")
    good = study(tmp_path)
    with pytest.raises(DataError, match=r"1 of 2 studies could not be read: .*image1.png: "):
        run(finished, empty, good, out=tmp_path / "out")
    assert (tmp_path / "out" / "elbow-patient00001-study1" / "study.json").is_file()
    assert not (tmp_path / "out" / "elbow-patient00009-study1").exists()


def test_two_studies_of_one_name_are_refused(finished: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two studies would both be drawn into"):
        run(finished, study(tmp_path / "a"), study(tmp_path / "b"), out=tmp_path / "out")


def test_without_members_it_names_the_command(prepared: Workspace, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="Run: murace calibrate"):
        run(prepared, study(tmp_path), out=tmp_path / "out")


def test_an_image_of_the_test_split_gets_the_probability_that_evaluate_gave_it(
    finished: Workspace, tmp_path: Path
) -> None:
    import pandas as pd

    from murace.data.store import open_pixels

    row = pd.read_csv(finished.evaluate.predictions).iloc[0]
    folder = tmp_path / "XR_ELBOW" / "p" / "s"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), np.array(open_pixels(finished.prepare.pixels)[int(row["row"])]))
    (done,) = run(finished, folder, out=tmp_path / "out", group=row["group"])
    assert done.content["probability"] == pytest.approx(row["calibrated"], abs=1e-5)


@pytest.mark.parametrize("content", ["[1]", "{", '{"files": 5}', '{"files": [5]}', "7"])
def test_a_foreign_note_is_refused(finished: Workspace, tmp_path: Path, content: str) -> None:
    note = tmp_path / "out" / "elbow-patient00001-study1" / "begun.json"
    note.parent.mkdir(parents=True)
    note.write_text(content)
    with pytest.raises(UsageError, match=r"begun\.json was not written by murace cam"):
        run(finished, study(tmp_path), out=tmp_path / "out")
    assert note.read_text() == content


def test_what_a_killed_drawing_left_half_written_is_swept_away(finished: Workspace, tmp_path: Path) -> None:
    left = tmp_path / "out" / "elbow-patient00001-study1" / ".image1.png.tmp.17.abcd"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    run(finished, study(tmp_path), out=tmp_path / "out")
    assert not left.exists()
    assert whole_or_unfinished(tmp_path / "out") == [True]


def draw_elsewhere(root: Path, path: Path, out: Path) -> list[cam.StudyOverlays]:
    return run(Workspace(root), path, out=out)


def test_two_do_not_draw_into_one_folder(finished: Workspace, tmp_path: Path) -> None:
    with writing(tmp_path / "out"):
        (answer,) = together(1, draw_elsewhere, finished.root, study(tmp_path), tmp_path / "out")
    assert answer.kind is WorkspaceError
    assert f"{tmp_path / 'out'} is in use by process {os.getpid()} on" in answer.message


@pytest.mark.parametrize("content", ["[1]", "{", '{"mine": 1}'])
def test_a_foreign_record_is_refused(finished: Workspace, tmp_path: Path, content: str) -> None:
    record = tmp_path / "out" / "elbow-patient00001-study1" / "study.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    with pytest.raises(UsageError, match="was not written by murace cam"):
        run(finished, study(tmp_path), out=tmp_path / "out")
    assert record.read_text() == content


def test_studies_of_a_member_go_through_its_net_together(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[int, int]] = []
    nets: list[weakref.ref] = []
    ask, load = MAP_FUNCTIONS["cam"], TrainedNet.net

    def counted(net, images):
        if images.shape[2] == SIZE:  # once again at twice the size
            passes.append((nets.index(weakref.ref(net)), len(images)))
        return ask(net, images)

    def loaded(member: TrainedNet):
        assert sum(net() is not None for net in nets) <= 1  # one at a time in memory, beside the recogniser's
        net = load(member)
        nets.append(weakref.ref(net))
        return net

    monkeypatch.setitem(MAP_FUNCTIONS, "cam", counted)
    monkeypatch.setattr(TrainedNet, "net", loaded)
    given = several(tmp_path, 1, 2, 3, 1, 1, 2, 7, 1)
    done = run(finished, *given, out=tmp_path / "out")
    assert passes == [(1, 2 + 1 + 2 + 1), (2, 1 + 3 + 1 + 7)]
    assert [len(item.content["views"]) for item in done] == [1, 2, 3, 1, 1, 2, 7, 1]
    assert [item.folder.name[:5] for item in done] == ["wrist", "elbow"] * 4
    passes.clear()
    assert all(item.skipped for item in run(finished, *given, out=tmp_path / "out"))
    assert (len(nets), passes) == (3, [])  # nor is the recogniser asked again
    monkeypatch.setitem(AT_ONCE, "cpu", 4)
    run(finished, *given, out=tmp_path / "other")
    assert sorted(size for _, size in passes) == sorted([2 + 1, 2 + 1, 1 + 3, 1, 4, 3])


@pytest.mark.kernels
def test_answers_and_pictures_do_not_depend_on_what_else_is_in_the_batch(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = several(tmp_path, 1, 2, 3, 1, 1, 2, 3)
    together = run(finished, *given, out=tmp_path / "together", machine=Machine(gpu="cpu", threads=3))
    alone = [run(finished, path, out=tmp_path / "alone")[0] for path in given]
    for name in ("cam.WEIGHT", "cam.WAITING"):
        monkeypatch.setattr(f"murace.steps.{name}", 0)  # no radiograph more in memory than must be
    monkeypatch.setattr(draw, "WAITING", 0)
    reverse = run(finished, *given[::-1], out=tmp_path / "reverse")[::-1]
    for one, *others in zip(alone, together, reverse, strict=True):
        for other in others:
            assert other.folder.name == one.folder.name
            assert list(other.content) == list(one.content)
            assert other.content["views_sha256"] == one.content["views_sha256"]
            for view, same in zip(one.content["views"], other.content["views"], strict=True):
                assert same["log_odds"] == pytest.approx(view["log_odds"], abs=1e-5)
                drawn = [cv2.imread(str(item.folder / view["file"])).astype(int) for item in (one, other)]
                assert np.abs(drawn[0] - drawn[1]).max() <= 1


def test_bad_studies_are_named_in_the_order_given_and_the_others_are_drawn(finished: Workspace, tmp_path: Path) -> None:
    given = several(tmp_path, 1, 2, 1, 1, 1)
    (given[1] / "image2.png").write_bytes(b"BM")
    (given[2] / "image1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 5 studies .*00001/study1_positive/image2.png: .*00002/.*: empty file"):
        run(finished, *given, out=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "elbow-patient00003-study1",
        "index.html",
        "wrist-patient00000-study1",
        "wrist-patient00004-study1",
    ]
    assert whole_or_unfinished(tmp_path / "out") == [True] * 3


def test_a_foreign_file_is_refused_before_anything_is_drawn(finished: Workspace, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "wrist-patient00002-study1" / "image1.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(UsageError, match="was not written by murace cam"):
        run(finished, *several(tmp_path, 1, 1, 1), out=tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [foreign]


def test_a_renamed_view_does_not_make_a_foreign_file_ours(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path)
    (done,) = run(finished, folder, out=tmp_path / "out")
    (folder / "image2.png").rename(folder / "image3.png")
    (done.folder / "image3.png").write_text("mine")
    with pytest.raises(UsageError, match=r"image3\.png was not written by murace cam"):
        run(finished, folder, out=tmp_path / "out")


@pytest.mark.parametrize("threads", [1, 3])
def test_an_interruption_keeps_what_is_finished_and_leaves_no_thread(
    finished: Workspace, tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AT_ONCE, "cpu", 2)
    before = threading.active_count()
    given, machine = several(tmp_path, *[1] * 9), Machine(gpu="cpu", threads=threads)
    with pytest.raises(Interrupted):
        run(finished, *given, out=tmp_path / "out", reporter=Interrupting(2), machine=machine)
    assert threading.active_count() == before
    kept = whole_or_unfinished(tmp_path / "out")
    assert all(kept)
    assert 2 <= len(kept) < 9
    again = run(finished, *given, out=tmp_path / "out")
    assert sum(item.skipped for item in again) == len(kept)


def test_a_full_disk_in_the_background_is_the_same_error_and_leaves_no_thread(
    finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, left, sync = threading.active_count(), iter(range(16)), os.fsync

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    given = several(tmp_path, *[1] * 6)
    with monkeypatch.context() as patched:
        patched.setattr("murace.system.files.os.fsync", full)
        with pytest.raises(MachineError, match=r"disk full while writing .*Free some space"):
            run(finished, *given, out=tmp_path / "out", machine=Machine(gpu="cpu", threads=2))
    assert threading.active_count() == before
    assert {True, False} == set(whole_or_unfinished(tmp_path / "out"))
    assert sum(item.skipped for item in run(finished, *given, out=tmp_path / "out")) < 6
    assert all(whole_or_unfinished(tmp_path / "out"))


def test_a_doubt_is_said_again_when_a_study_is_drawn_again(finished: Workspace, tmp_path: Path) -> None:
    """Both pictures are noise, which no group of this workspace shows."""
    folder = study(tmp_path)
    said = "does not look like elbow, nor like any other group of this ensemble"
    (first,) = run(finished, folder, out=tmp_path / "out")
    (other,) = run(finished, folder, out=tmp_path / "out", map_method=MapMethod(scales=(1,)))
    assert (first.skipped, other.skipped) == (False, False)
    assert first.content["warning"] == other.content["warning"] == said


def test_a_remark_on_a_header_is_a_warning_of_the_record(finished: Workspace, tmp_path: Path) -> None:
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    (tmp_path / "IM1").write_bytes(dicom(grey, BodyPartExamined="ELBOW", WindowCenter=0, WindowWidth=0))
    for skipped in (False, True):
        (done,) = run(finished, tmp_path / "IM1", out=tmp_path / "out")
        assert done.skipped == skipped
        assert f"has {NO_WINDOW} (view 1)" in json.loads((done.folder / "study.json").read_text())["warning"]
        assert done.content["warning"].endswith(f"has {NO_WINDOW} (view 1)")


def test_a_record_of_an_older_version_is_drawn_again(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path)
    (done,) = run(finished, folder, out=tmp_path / "out")
    old = {key: value for key, value in done.content.items() if key not in ("group_source", "warning")}
    (done.folder / "study.json").write_text(json.dumps(old))
    (again,) = run(finished, folder, out=tmp_path / "out")
    assert not again.skipped
    assert again.content == done.content


def test_the_gallery_shows_what_is_there(finished: Workspace, tmp_path: Path) -> None:
    given = several(tmp_path, 1, 1)
    run(finished, *given, out=tmp_path / "out")
    page = tmp_path / "out" / "index.html"
    before = page.stat().st_mtime_ns
    run(finished, given[0], out=tmp_path / "out")
    assert page.stat().st_mtime_ns == before
    assert page.read_text().count("<li class") == 2
    shutil.rmtree(tmp_path / "out" / "elbow-patient00001-study1")
    run(finished, given[0], out=tmp_path / "out")
    assert page.read_text().count("<li class") == 1


def test_views_of_one_name_do_not_share_a_picture(finished: Workspace, tmp_path: Path) -> None:
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    for number, picture in enumerate((grey, grey[::-1])):
        place = tmp_path / "in" / f"series{number}"
        place.mkdir(parents=True)
        (place / "IM1").write_bytes(dicom(picture.copy(), BodyPartExamined="ELBOW"))
    (done,) = run(finished, tmp_path / "in", out=tmp_path / "out")
    drawn = [(done.folder / view["file"]).read_bytes() for view in done.content["views"]]
    assert len(set(drawn)) == 2


@pytest.mark.parametrize("name", ["image1.png", "study.json"])
def test_what_is_damaged_is_drawn_again(finished: Workspace, tmp_path: Path, name: str) -> None:
    folder = study(tmp_path)
    (done,) = run(finished, folder, out=tmp_path / "out")
    whole = (done.folder / name).read_bytes()
    damaged = bytearray(whole)
    damaged[damaged.index(b"0.5") + 2 if name == "study.json" else len(damaged) // 2] ^= 1
    (done.folder / name).write_bytes(damaged)
    (again,) = run(finished, folder, out=tmp_path / "out")
    assert not again.skipped
    assert (done.folder / name).read_bytes() == whole
    assert run(finished, folder, out=tmp_path / "out")[0].skipped


@pytest.mark.parametrize("limit", [2**30, 0])
def test_each_file_is_decoded_once_where_the_recogniser_is_asked(
    finished: Workspace, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Whether much may wait or nothing; the pictures are of the workspace's own data, which it recognises."""
    given = tmp_path / "in"
    for number, picture in enumerate(sorted((source / "test").rglob("*.png"))[:6]):
        (given / f"case{number // 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, given / f"case{number // 2}" / f"{number}.png")
    decoded: Counter[Path] = Counter()
    real = decode._bytes

    def counted(path: Path):
        decoded[path] += 1
        return real(path)

    monkeypatch.setattr(decode, "_bytes", counted)
    for name in ("steps.cam.WEIGHT", "steps.cam.WAITING", "explain.overlays.draw.WAITING"):
        monkeypatch.setattr(f"murace.{name}", limit)
    first = cam.run(
        finished, [given], map_method=MapMethod(), group=None, out=tmp_path / "out", machine=CPU, reporter=Reporter()
    )
    assert {one.content["group_source"] for one in first.studies} == {"recogniser"}
    assert {path: count for path, count in decoded.items() if given in path.parents} == dict.fromkeys(
        given.rglob("*.png"), 1
    )


def several_people(root: Path) -> Path:
    """What archives hold: two patients and a nameless file in one study, a copy, a flat folder."""
    for number, patient in enumerate(("P1", "P1", "P2", None)):
        tags = {
            "BodyPartExamined": None if number == 1 else "ELBOW",
            "PatientID": patient,
            "SOPInstanceUID": f"1.{number}",
        }
        grey = np.random.default_rng(number).integers(0, 9_000 * (number + 1), (64, 64)).astype(np.uint16)
        (root / f"IM{number}").write_bytes(dicom(grey, **tags))
    shutil.copy(root / "IM0", root / "copy")
    for number in range(3):
        (root / "flat").mkdir(exist_ok=True)
        grey = np.random.default_rng(10 + number).integers(0, 255, (64, 64)).astype(np.uint8)
        cv2.imwrite(str(root / "flat" / f"person{number // 2}_{number}.png"), grey)
    return root


@pytest.mark.parametrize("each_file", [False, True])
def test_predict_and_cam_answer_alike_about_the_same_studies(
    finished: Workspace, tmp_path: Path, each_file: bool
) -> None:
    (tmp_path / "in").mkdir()
    given = several_people(tmp_path / "in")
    config = PredictConfig(group="elbow", each_file=each_file)
    read = predict.run(
        finished, [given], config, out=tmp_path / "p.csv", machine=CPU, rerun=Rerun(), reporter=Reporter()
    )
    drawn = run_all(finished, given, out=tmp_path / "out", group="elbow", each_file=each_file)
    assert drawn.error is None
    assert len(drawn.studies) == len(read.studies) == (8 if each_file else 4)
    for row, one in zip(read.studies.fillna("").to_dict("records"), drawn.studies, strict=True):
        assert one.content["probability"] == pytest.approx(row["probability"], abs=1e-6)
        assert sum(view["counted"] for view in one.content["views"]) == row["views"]
        assert one.content["warning"] == row["warning"]
        assert (one.content["group"], one.content["group_source"]) == (row["group"], row["group_source"])
    assert drawn.remarks == read.remarks
    again = run_all(finished, given, out=tmp_path / "out", group="elbow", each_file=each_file)
    assert all(one.skipped for one in again.studies)
    assert [one.content for one in again.studies] == [one.content for one in drawn.studies]


def test_a_copy_is_drawn_and_does_not_count_again(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path, views=2)
    shutil.copy(folder / "image1.png", folder / "image3.png")
    (done,) = run(finished, folder, out=tmp_path / "out")
    first, second, third = done.content["views"]
    assert [view["counted"] for view in (first, second, third)] == [True, True, False]
    assert third["remark"] == "A copy of another view, which does not count again."
    assert done.content["probability"] == pytest.approx((first["probability"] + second["probability"]) / 2)


def test_views_that_contradict_each_other_are_not_drawn(finished: Workspace, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, part in enumerate(("ELBOW", "WRIST")):
        grey = np.random.default_rng(number).integers(0, 2**16, (64, 64)).astype(np.uint16)
        (tmp_path / "in" / f"IM{number}").write_bytes(dicom(grey, BodyPartExamined=part, StudyInstanceUID=None))
    with pytest.raises(
        DataError, match=r"its views contradict each other \(IM0 says elbow, IM1 says wrist\): name its"
    ):
        run(finished, tmp_path / "in", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (done,) = run(finished, tmp_path / "in", out=tmp_path / "out", group="wrist")
    assert "--group says wrist" in done.content["warning"]


def test_overlays_of_the_same_pictures_in_other_studies_are_named(finished: Workspace, tmp_path: Path) -> None:
    folder = study(tmp_path, name="pictures")
    run(finished, folder, out=tmp_path / "out", group="wrist")
    (before,) = (tmp_path / "out").glob("wrist-*")
    done = run_all(finished, folder, out=tmp_path / "out", group="wrist", each_file=True)
    assert done.remarks == (
        f"{before} shows the same pictures, put together or grouped otherwise: delete it if it is out of date",
    )
    shutil.rmtree(before)
    assert run_all(finished, folder, out=tmp_path / "out", group="wrist", each_file=True).remarks == ()


def test_what_is_to_be_said_of_a_study_that_is_not_drawn_is_said(finished: Workspace, tmp_path: Path) -> None:
    several_people(tmp_path)
    done = run_all(finished, tmp_path / "flat", out=tmp_path / "out")
    assert done.error is not None
    assert done.remarks == (
        f"{tmp_path / 'flat'}: one study of 3 views: use --each-file, or one folder a study "
        "(their names begin in 2 ways)",
    )
