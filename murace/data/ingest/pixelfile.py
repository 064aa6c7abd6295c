"""Create, fill and open `pixels.npy`: of full length from the start, filled by several processes, its unused rows cut.

Own code: numpy reads a header as a Python literal, and takes other files for an archive or a pickle.
"""

import math
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from murace.system.disk import disk_error
from murace.system.files import PUBLIC, DigestWriter, atomic, sync_folder

_MARK, _START = b"\x93NUMPY\1\0", struct.Struct("<8sH")
_HEADER = re.compile(
    rb"\{'descr': '\|u1', 'fortran_order': False, 'shape': \((\d{1,10}), (\d{1,5}), (\d{1,5})\), \} *\n"
)
_BLOCK = 8 * 2**20  # bytes copied at a time


def create(path: Path, count: int, size: int) -> None:
    """Make the array's file, uint8 [count, size, size], at its final length; what is not written yet reads as 0.

    A link in its place is not followed.

    Raises:
        MachineError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PUBLIC)
        with os.fdopen(descriptor, "wb") as file:
            offset = _write_header(file, count, size)
            file.truncate(offset + count * size * size)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, path) from error


def offset_of(path: Path) -> int:
    """Where the first pixel is in the file."""
    with path.open("rb") as file:
        return _read_header(file)[1]


def shape_of(path: Path) -> tuple[int, ...] | None:
    """The array's shape; None where there is no such file or it is not as long as its header says."""
    try:
        with path.open("rb") as file:
            shape, offset = _read_header(file)
            return shape if path.stat().st_size == offset + math.prod(shape) else None
    except (OSError, ValueError):
        return None


def open_read_only(path: Path) -> npt.NDArray[np.uint8]:
    """The finished array, uint8 [N, size, size], by memory map.

    Raises:
        ValueError: the file is not one that is written here, to the letter of its header.
        OSError: it cannot be read.
    """
    shape = shape_of(path)
    if shape is None:
        raise ValueError("it is not a whole array of uint8 [N, size, size]")
    return np.memmap(path, dtype=np.uint8, mode="r", offset=offset_of(path), shape=shape)


def place(source: Path, target: Path, kept: Sequence[int]) -> None:
    """Put the finished array in its place: as it is if all rows are kept, else those rows alone, streamed.

    Raises:
        MachineError: the disk is full.
    """
    with source.open("rb") as file:
        (count, size, _), offset = _read_header(file)
        if len(kept) < count:
            with atomic(target) as result:
                _write_header(result, len(kept), size)
                for first, last in _runs(kept):
                    _copy(file, result, offset + first * size * size, (last - first) * size * size)
            return
    source.replace(target)
    sync_folder(target.parent)


def _runs(kept: Sequence[int]) -> list[tuple[int, int]]:
    """Consecutive rows as pairs of first and one past the last."""
    rows = np.asarray(kept, dtype=np.int64)
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(rows, breaks) if len(run)]


def _write_header(file: IO[bytes] | DigestWriter, count: int, size: int) -> int:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (count, size, size)})
    return file.tell()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], int]:
    """The shape, and where the first pixel is."""
    start = file.read(_START.size)
    mark, length = _START.unpack(start) if len(start) == _START.size else (b"", 0)
    found = _HEADER.fullmatch(file.read(length)) if mark == _MARK else None
    if found is None:
        raise ValueError("it has another header")
    count, height, width = (int(side) for side in found.groups())
    if height != width:
        raise ValueError("its pictures are not square")
    return (count, height, width), file.tell()


def _copy(source: IO[bytes], target: DigestWriter, start: int, length: int) -> None:
    source.seek(start)
    while length:
        block = source.read(min(length, _BLOCK))
        target.write(block)
        length -= len(block)
