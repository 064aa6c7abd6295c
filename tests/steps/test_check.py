"""`cam --check`: which boxes count, and what is said of the others; what maps score is tested in tests/pointing."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from murace.config import Bootstrap
from murace.data.store import read_index
from murace.errors import DataError, WorkspaceError
from murace.explain.cam import MapMethod
from murace.steps import check
from murace.system.progress import Reporter
from murace.workspace.paths import Workspace
from tests.cli.typed import CPU as HERE
from tests.cli.typed import answered, done, refused, typed
from tests.workshop import CPU, SIZE


def boxes_of(index: pd.DataFrame, path: Path) -> Path:
    """A box around the middle of each image."""
    rows = index[["path"]].assign(x=16, y=16, width=SIZE // 2, height=SIZE // 2)
    rows.to_csv(path, index=False)
    return path


@pytest.fixture
def place(source: Path, tmp_path: Path) -> Path:
    """A copy of the pictures."""
    return Path(shutil.copytree(source, tmp_path / "source"))


def run(workspace: Workspace, boxes: Path) -> check.Pointed:
    bootstrap = Bootstrap(resamples=100)
    return check.run(
        workspace, boxes, map_method=MapMethod(scales=(1,)), bootstrap=bootstrap, machine=CPU, reporter=Reporter()
    )


def test_boxes_of_test_images_count_and_the_others_are_said_to_be_left_out(finished: Workspace, place: Path) -> None:
    index = read_index(finished.prepare.index)
    parts = [index[index["split"] == split] for split in ("train", "validation", "test")]
    some = pd.concat([parts[0][:3], parts[1][:4], parts[2]])
    stranger = some[:1].assign(path="elsewhere.png")
    found = run(finished, boxes_of(pd.concat([some, stranger]), place / "boxes.csv"))
    assert found.images == len(parts[2])
    assert "left out: 7 images of training or validation, 1 that the workspace does not have" in found.notes[0]
    table = found.table[found.table["metric"] == "pointing"].set_index(["source", "group"])["images"]
    assert table["cam 1x", "overall"] == len(parts[2])
    assert table["centre prior", "elbow"] == (parts[2]["group"] == "elbow").sum()
    assert found.table.query("source == 'centre prior' and metric == 'pointing'")["value"].eq(1).all()
    assert any("synthetic" in line for line in found.caveats)


def test_without_a_test_image_there_is_nothing_to_check(finished: Workspace, place: Path) -> None:
    index = read_index(finished.prepare.index)
    boxes = boxes_of(index[index["split"] == "train"], place / "boxes.csv")
    with pytest.raises(DataError, match="no box of a test image of this workspace"):
        run(finished, boxes)
    shutil.rmtree(finished.finetune("elbow").folder)
    with pytest.raises(WorkspaceError, match="Run: murace finetune --groups elbow"):
        run(finished, boxes_of(index, place / "boxes.csv"))


def test_the_table_is_printed_and_what_could_not_be_used_makes_the_exit_code(finished: Workspace, place: Path) -> None:
    index = read_index(finished.prepare.index)
    test = index[index["split"] == "test"]
    boxes = boxes_of(test, place / "boxes.csv")
    words = ("cam", "--check", boxes, "--scales", "1", *HERE, "-w", finished.root)
    shown = done(*words)
    assert "Where cam 1x points" in shown.stdout
    assert "pointing" in shown.stdout
    told = answered(*words)
    assert (told["images"], told["method"], told["scales"]) == (len(test), "cam", [1])
    assert {row["source"] for row in told["check"]} == {"cam 1x", "centre prior", "randomised network", "chance"}
    (place / test["path"].iloc[0]).write_bytes(b"")
    result = typed(*words, "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert told["images"] == len(test) - 1
    assert f"1 images could not be used: {test['path'].iloc[0]}: empty file" in told["error"]["message"]
    assert "has no column x, y" in refused(3, "cam", "--check", finished.prepare.index, *HERE, "-w", finished.root)
