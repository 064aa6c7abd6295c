"""Read boxes around findings from csv: `murace sample`'s truth.csv, FracAtlas' fracture_boxes.csv, and their like.

One form: `path` (relative to the csv file), `x,y,width,height` in pixels of the picture as it is stored in the file,
before any turn that its EXIF orientation asks for. Other columns are ignored. An image may have several boxes.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.data.images import jpeg, png
from murace.data.images.header import UPRIGHT, ImageError
from murace.data.tables.cells import check
from murace.data.tables.paths import NO_PATH, below, fault_of_path, normal
from murace.data.tables.spelling import visible
from murace.data.tables.table import few, read_table
from murace.errors import DataError
from murace.vocabulary import Split

Floats = npt.NDArray[np.float64]
NUMBERS = ["x", "y", "width", "height"]
COLUMNS = ["path", *NUMBERS]
SLACK = 1.0  # pixels by which a box may reach beyond the picture: some tools count pixels from 1
LONGEST = 20  # characters of a number


@dataclass(frozen=True)
class Matched:
    """The boxes of a workspace's test images, and how many images with boxes are left out.

    `boxes`: path, x, y, width, height, group, patient, sha256; a row per box.
    """

    boxes: pd.DataFrame
    elsewhere: int  # images of training or validation: the nets know them
    unknown: int  # images that are not in the workspace

    @property
    def images(self) -> int:
        """How many test images have boxes."""
        return int(self.boxes["path"].nunique())


def read_boxes(path: Path) -> pd.DataFrame:
    """Read a csv of boxes: path (as index.csv writes it), x, y, width, height as float; a row per box.

    Raises:
        DataError: not a csv, no such columns, no row, a path outside the folder, or a number that is none.
    """
    table = read_table(path, known=COLUMNS)
    header = table.rows[0] if table.rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; a csv of boxes has the columns {','.join(COLUMNS)} "
            f"(pixels of the stored image, paths relative to the csv); its first line says: {few(header) or 'nothing'}"
        )
    twice = sorted({name for name in COLUMNS if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}: a column is there twice: {few(twice)}")
    frame = pd.DataFrame(table.rows[1:], columns=header, index=table.lines[1:], dtype=str)[COLUMNS]
    if frame.empty:
        raise DataError(f"{path} holds no box")
    frame["path"] = frame["path"].map(lambda name: below(path, name))
    check(path, frame["path"], fault_of_path, NO_PATH)
    if table.separator != ",":  # then a comma is the decimal sign
        frame[NUMBERS] = frame[NUMBERS].apply(lambda column: column.str.replace(",", ".", n=1, regex=False))
    for name in NUMBERS:
        check(path, frame[name], _fault_of_side if name in NUMBERS[2:] else _fault_of_corner, f"column {name}")
    boxes = frame[NUMBERS].astype(np.float64).assign(path=frame["path"].map(normal))
    return boxes[COLUMNS].drop_duplicates().reset_index(drop=True)


def match(boxes: pd.DataFrame, index: pd.DataFrame) -> Matched:
    """Keep the boxes of test images; the nets have learnt from the others.

    Args:
        boxes: what `read_boxes` returns.
        index: a workspace's index.csv: path, split, group, patient, sha256 among its columns.
    """
    known = index[["path", "split", "group", "patient", "sha256"]]
    named = {look: path for look, (path, *others) in _by_look(index["path"]).items() if not others}
    meant = boxes.assign(path=[named.get(visible(path), path) for path in boxes["path"]])
    joined = meant.merge(known, on="path", how="left", validate="many_to_one")
    unknown = joined["split"].isna()
    test = joined["split"] == Split.TEST.value
    return Matched(
        boxes=joined[test].drop(columns="split").reset_index(drop=True),
        elsewhere=int(joined.loc[~test & ~unknown, "path"].nunique()),
        unknown=int(joined.loc[unknown, "path"].nunique()),
    )


def _by_look(paths: "pd.Series[str]") -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[visible(path)].append(path)
    return found


def upright_shares(boxes: Floats, *, width: int, height: int, orientation: int = UPRIGHT) -> Floats:
    """Turn boxes [K, 4] in pixels of a stored picture into shares of the upright one's width and height.

    Args:
        boxes: x, y, width, height.
        width: of the stored picture.
        height: likewise.
        orientation: EXIF's, 1 to 8.

    Raises:
        ImageError: a box reaches outside the picture.
    """
    shares = boxes / np.array([width, height, width, height], dtype=np.float64)
    over = boxes[:, :2] + boxes[:, 2:] - np.array([width, height])
    if (over > SLACK).any() or (boxes[:, :2] < -SLACK).any():
        raise ImageError(f"a box reaches outside the picture of {width} x {height} pixels")
    x, y, across, down = shares.T
    if orientation >= 5:  # rows and columns are exchanged
        x, y, across, down = y, x, down, across
    if orientation in (2, 3, 6, 7):  # right is left
        x = 1 - x - across
    if orientation in (3, 4, 7, 8):  # up is down
        y = 1 - y - down
    return np.stack([x, y, across, down], axis=1)


def orientation_of(path: Path) -> int:
    """The EXIF orientation, 1 to 8, of an image file; 1 where its format has none.

    Raises:
        ImageError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from None
    if data.startswith(png.SIGNATURE):
        return png.inspect(data).orientation
    return jpeg.inspect(data).orientation if data.startswith(jpeg.SIGNATURE) else UPRIGHT


def _fault_of_corner(text: str) -> str | None:
    try:
        number = float(text) if len(text) <= LONGEST and text.isascii() and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return "empty" if not text.strip() else "write decimals with a point" if "," in text else "not a number"
    return None if number >= -SLACK else "below 0"


def _fault_of_side(text: str) -> str | None:
    return _fault_of_corner(text) or (None if float(text) > 0 else "not above 0")
