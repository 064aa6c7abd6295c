from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from murace.data.images.header import ImageError
from murace.data.tables.boxes import COLUMNS, match, orientation_of, read_boxes, upright_shares
from murace.errors import DataError
from murace.sample.layout import TRUTH
from tests.data.files import chunk, exif, jpeg, png, read_grey

INDEX = pd.DataFrame(
    {
        "path": ["a.png", "b.png", "c.png"],
        "split": ["test", "train", "validation"],
        "group": "hand",
        "patient": ["p1", "p2", "p3"],
        "sha256": ["0", "1", "2"],
        "label": 1,
    }
)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "boxes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_samples_form_and_fracatlas_are_one(tmp_path: Path) -> None:
    ours = read_boxes(written(tmp_path, ",".join(TRUTH), "a/b.png,fracture,1,2,30,40"))
    theirs = read_boxes(written(tmp_path, "path,x,y,width,height", "./a/b.png,1.0,2,30.0,40"))
    pd.testing.assert_frame_equal(ours, theirs)
    assert list(ours.columns) == COLUMNS
    assert ours.iloc[0].tolist() == ["a/b.png", 1, 2, 30, 40]


def test_what_fracatlas_says_of_its_fractures_can_be_read(fracatlas: Path) -> None:
    found = read_boxes(fracatlas / "fracture_boxes.csv")
    assert (len(found), found["path"].nunique()) == (446, 366)
    for path, rows in found.groupby("path"):
        turn = orientation_of(fracatlas / path)
        height, width = read_grey(fracatlas / path).shape
        stored = (height, width) if turn >= 5 else (width, height)
        shares = upright_shares(rows[COLUMNS[1:]].to_numpy(), width=stored[0], height=stored[1], orientation=turn)
        assert shares.min() >= 0
        assert (shares[:, :2] + shares[:, 2:]).max() <= 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label", "a.png,1"], r"no column x, y, width, height; .*path,x,y,width,height .*says: path, label"),
        (["path,x,y,width,height,x", "a.png,1,1,1,1,1"], "a column is there twice: x"),
        (["path,x,y,width,height"], "holds no box"),
        (["path,x,y,width,height", "../a.png,1,1,1,1"], r"a path that cannot be used; .* \(line 2: '..' in it"),
        (["path,x,y,width,height", "/a.png,1,1,1,1"], "an absolute path"),
        (["path,x,y,width,height", "a.png,one,1,1,1"], r"column x \(line 2: not a number: 'one'"),
        (["path,x,y,width,height", "a.png,nan,1,1,1"], "not a number: 'nan'"),
        (["path,x,y,width,height", "a.png,1_0,1,1,1"], "not a number: '1_0'"),
        (["path,x,y,width,height", "a.png,,1,1,1"], "empty"),
        (["path,x,y,width,height", "a.png,1,-7,1,1"], "column y .*below 0"),
        (["path,x,y,width,height", "a.png,1,1,0,1"], "column width .*not above 0"),
        (["path,x,y,width,height", "a.png,1,1,1,inf"], "column height .*not a number: 'inf'"),
        (["path,x,y,width,height", "a.png,1,1,1"], "not 5 columns"),
    ],
)
def test_anything_else_is_refused_by_line(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_boxes(written(tmp_path, *lines))


def test_only_test_images_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    rows = [f"{name}.png,1,1,{width},2" for name in "abcd" for width in (3, 4)]
    matched = match(read_boxes(written(tmp_path, ",".join(COLUMNS), *rows)), INDEX)
    assert matched.boxes["path"].tolist() == ["a.png", "a.png"]
    assert matched.boxes["width"].tolist() == [3, 4]
    assert matched.boxes[["group", "patient", "sha256"]].iloc[0].tolist() == ["hand", "p1", "0"]
    assert (matched.images, matched.elsewhere, matched.unknown) == (1, 2, 1)


def test_semicolons_tabs_and_absolute_paths_are_read(tmp_path: Path) -> None:
    wanted = read_boxes(written(tmp_path, "path,x,y,width,height", "a/b.png,1,2.5,30,40"))
    for separator in ";\t":
        lines = ("path,x,y,width,height", f"{tmp_path}/a/b.png,1,2.5,30,40")
        pd.testing.assert_frame_equal(
            read_boxes(written(tmp_path, *(line.replace(",", separator) for line in lines))), wanted
        )
        decimals = [line.replace(",", separator).replace("2.5", "2,5") for line in lines]
        pd.testing.assert_frame_equal(read_boxes(written(tmp_path, *decimals)), wanted)
    with pytest.raises(DataError, match=r"column y \(line 2: write decimals with a point: '2,5'"):
        read_boxes(written(tmp_path, "path,x,y,width,height", 'a/b.png,1,"2,5",30,40'))


def test_a_box_finds_its_image_by_what_is_seen_of_its_path() -> None:
    index = INDEX.assign(path=["a\u0301.png", "b.png", "b\u200b.png"])
    boxes = pd.DataFrame(
        {"path": ["\u00e1.png\u00a0", "b.png ", "b.png"], "x": 1.0, "y": 1.0, "width": 2.0, "height": 2.0}
    )
    matched = match(boxes, index)
    assert matched.boxes["path"].tolist() == ["a\u0301.png"]
    assert (matched.elsewhere, matched.unknown) == (1, 1)  # "b.png " may be either


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_the_picture(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((48, 64), np.uint8)
    stored[8:16, 40:56] = 255  # x 40, y 8, 16 x 8 pixels
    for name, data in (("a.jpg", jpeg(stored, orientation)), ("a.png", png(stored, chunk(b"eXIf", exif(orientation))))):
        path = tmp_path / name
        path.write_bytes(data)
        upright = read_grey(path) > 128
        height, width = upright.shape
        assert orientation_of(path) == orientation
        ((x, y, across, down),) = upright_shares(
            np.array([[40.0, 8, 16, 8]]), width=64, height=48, orientation=orientation
        ) * [width, height, width, height]
        expected = np.zeros_like(upright)
        expected[round(y) : round(y + down), round(x) : round(x + across)] = True
        assert np.array_equal(upright, expected)


@pytest.mark.parametrize("box", [(60, 0, 6, 5), (0, 40, 5, 10), (-2, 0, 5, 5)])
def test_a_box_beyond_the_picture_is_a_fault(box: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match="reaches outside the picture of 64 x 48 pixels"):
        upright_shares(np.array([box], dtype=float), width=64, height=48)


def test_a_pixel_too_far_is_how_some_tools_count() -> None:
    upright_shares(np.array([[1.0, 1, 64, 48]]), width=64, height=48)
