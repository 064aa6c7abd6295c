import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from murace.errors import DataError, UsageError, WorkspaceError
from murace.steps import cam
from murace.watch import Watch
from murace.workspace import Workspace
from tests.workshop import CPU


def study(root: Path, *, name: str = "XR_ELBOW/patient00001/study1_positive", views: int = 2) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for view in range(views):
        picture = np.random.default_rng(view).integers(0, 255, (120 + 30 * view, 90), dtype=np.uint8)
        cv2.imwrite(str(folder / f"image{view + 1}.png"), picture)
    return folder


def run(
    workspace: Workspace, *paths: Path, out: Path, group: str | None = None, force: bool = False
) -> list[cam.Reading]:
    return cam.run(workspace, paths, out=out, group=group, machine=CPU, watch=Watch(), force=force)


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
    assert record.is_file()
    assert not (done.folder / "begun.json").exists()


def test_foreign_files_are_never_overwritten(finished: Workspace, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "elbow-patient00001-study1" / "image1.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(UsageError, match="was not written by murace cam"):
        run(finished, study(tmp_path), out=tmp_path / "out")
    assert foreign.read_text() == "mine"


def test_the_group_comes_from_the_path_or_the_option_or_is_asked_for(finished: Workspace, tmp_path: Path) -> None:
    nameless = study(tmp_path, name="somewhere/else")
    with pytest.raises(UsageError, match="add --group, one of: elbow, wrist"):
        run(finished, nameless, out=tmp_path / "out")
    with pytest.raises(UsageError, match="unknown group 'wirst'; did you mean 'wrist'"):
        run(finished, nameless, out=tmp_path / "out", group="wirst")
    with pytest.raises(UsageError, match="no member for group 'hand'"):
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
    with pytest.raises(DataError, match="holds no PNG or JPEG"):
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


@pytest.mark.parametrize("content", ["[1]", "{", '{"mine": 1}'])
def test_a_foreign_record_is_refused(finished: Workspace, tmp_path: Path, content: str) -> None:
    record = tmp_path / "out" / "elbow-patient00001-study1" / "study.json"
    record.parent.mkdir(parents=True)
    record.write_text(content)
    with pytest.raises(UsageError, match="was not written by murace cam"):
        run(finished, study(tmp_path), out=tmp_path / "out")
    assert record.read_text() == content
