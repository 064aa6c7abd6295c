"""Read the prepared data (`index.csv`, `pixels.npy`), and read and write csv tables of a workspace."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from murace.data.ingest import pixelfile
from murace.errors import WorkspaceError
from murace.system.failures import refuse_machine_error
from murace.system.files import PRIVATE, PUBLIC, write_text

COLUMNS = ["row", "path", "split", "group", "patient", "study", "label", "width", "height", "sha256"]
IDS = ["row", "patient", "study", "group", "label"]  # the columns of a table of predictions before its probabilities
# Before its third version pandas read numbers to the last bit only when asked to; since then it minds being asked.
EXACT: Any = {"float_precision": "round_trip"} if int(pd.__version__.partition(".")[0]) < 3 else {}
LEAST_COLUMNS = 2  # of any table of ours
Pixels = npt.NDArray[np.uint8]


def read_index(path: Path) -> pd.DataFrame:
    """`index.csv`: one row per image, `row` equal to its place in the array; extra manifest columns follow as text.

    Raises:
        WorkspaceError: the table is not what `prepare` writes.
    """
    index = _read_csv(path, dtype=str, keep_default_na=False)
    if list(index.columns[: len(COLUMNS)]) != COLUMNS:
        raise WorkspaceError(f"{path} lacks columns of murace's index; run: murace prepare SOURCE --force")
    for name in ("row", "label", "width", "height"):
        if not index[name].str.fullmatch("[0-9]{1,9}").all():
            raise WorkspaceError(f"{path} has a {name} that is no number; run: murace prepare SOURCE --force")
        index[name] = index[name].astype("int64")
    if not np.array_equal(index["row"].to_numpy(), np.arange(len(index))):
        raise WorkspaceError(f"{path}: rows are out of order; run: murace prepare SOURCE --force")
    return index


def open_pixels(path: Path) -> Pixels:
    """`pixels.npy`, uint8 [N, size, size], by memory map.

    Raises:
        WorkspaceError: the file is not such an array.
    """
    try:
        return pixelfile.open_read_only(path)
    except (ValueError, OSError) as error:
        refuse_machine_error(error)
        raise WorkspaceError(f"{path} cannot be read ({error}); run: murace prepare SOURCE --force") from error


def read_frame(path: Path, *, texts: Collection[str] = (), needs: Collection[str] = ()) -> pd.DataFrame:
    """Read a table of ours, numbers to the last bit; only an empty cell is missing: a group may be called `null`.

    Columns in `texts` stay as they are written: 007 is no number there. Those in `needs` must be there.

    Raises:
        WorkspaceError: the file is no table that murace has written.
    """
    frame = _read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(texts, str), **EXACT)
    if len(frame.columns) < LEAST_COLUMNS or not set(needs) <= set(frame.columns):
        raise WorkspaceError(f"{path} lacks columns of murace's table; run the step that writes it with --fresh")
    return frame


def _read_csv(path: Path, **how: Any) -> pd.DataFrame:
    """Read a csv file; an error quotes nothing of it, which might be an id."""
    try:
        frame: pd.DataFrame = pd.read_csv(path, **how)
    except (ValueError, OverflowError) as error:  # pandas and what is no text raise the former
        raise WorkspaceError(f"{path} is not a csv file; run the step that writes it with --fresh") from error
    return frame


def write_frame(path: Path, frame: pd.DataFrame, *, private: bool = False) -> None:
    """Write a table as csv, atomically, its numbers to the last digit; `private` where ids stand in it (mode 0600)."""
    write_text(path, frame.to_csv(index=False), mode=PRIVATE if private else PUBLIC)
