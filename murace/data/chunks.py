"""What a reading process does with one chunk: decode its files straight into the shared array, then note the outcome.

Only light imports: each process loads this module. The note of a chunk is written after its pixels are durable, so a
chunk with a note is finished whatever happened next.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from murace.data.decode import Grey, read, resize
from murace.data.header import ImageError
from murace.data.paths import locate
from murace.disk import disk_error
from murace.errors import WorkspaceError
from murace.files import PRIVATE
from murace.seal import read_sealed, write_sealed

CHUNK_IMAGES = 50
CHUNK_BYTES = 32 * 2**20
TAIL_CHUNKS = 5  # so many chunks at the end are cut into as many portions each
FLAT, DARK = "flat", "dark"
_TWELVE_BITS = 4095


@dataclass(frozen=True)
class Job:
    """What all chunks share: where files are read, and the array (past its header) they go to."""

    root: str
    pixels: str
    notes: str
    offset: int
    size: int
    fit: str


@dataclass(frozen=True)
class Chunk:
    """Some consecutive images of the listing; `first` is the position of the first one."""

    number: int
    first: int
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """One file: decoded (no reason) or rejected; `modified` in ns, with `length` -1 where there is no file.

    `remark` is `flat` for a picture of one shade and `dark` for 16-bit data that use at most 12 bits.
    """

    reason: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""
    length: int = -1
    modified: int = 0
    remark: str = ""


def chunk_length(size: int) -> int:
    """How many images of that size make a chunk."""
    return max(1, min(CHUNK_IMAGES, CHUNK_BYTES // size**2))


def cut(paths: Sequence[str], size: int) -> list[Chunk]:
    """The files in portions, the same ones for any number of processes; small ones last, so that all end together."""
    step = chunk_length(size)
    large = max(0, len(paths) // step - TAIL_CHUNKS) * step
    small = max(1, step // TAIL_CHUNKS)
    starts = [*range(0, large, step), *range(large, len(paths), small), len(paths)]
    return [Chunk(number, *_portion(paths, *ends)) for number, ends in enumerate(pairwise(starts))]


def run_chunk(job: Job, chunk: Chunk, check: Callable[[], None] = lambda: None) -> list[Outcome]:
    """Decode one chunk and note it; `check` is called before each image and may raise to stop.

    Raises:
        MachineError: the pixels or the note cannot be written.
    """
    with array(job) as descriptor:
        outcomes = read_chunk(job, chunk, descriptor, check)
        settle(job, chunk, descriptor, outcomes)
    return outcomes


@contextmanager
def array(job: Job) -> Iterator[int]:
    """The array's file, open for writing, as a descriptor; a link in its place is not followed.

    Raises:
        MachineError: it cannot be opened.
    """
    try:
        descriptor = os.open(job.pixels, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise disk_error(error, Path(job.pixels)) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_chunk(job: Job, chunk: Chunk, descriptor: int, check: Callable[[], None] = lambda: None) -> list[Outcome]:
    """Decode one chunk into the array; nothing of it is durable before `settle`.

    Raises:
        MachineError: the pixels cannot be written.
    """
    root, outcomes = Path(job.root), []
    try:
        for position, path in enumerate(chunk.paths, chunk.first):
            check()
            outcomes.append(_decode(job, root, path, descriptor, position))
    except OSError as error:
        raise disk_error(error, Path(job.pixels)) from error
    return outcomes


def settle(job: Job, chunk: Chunk, descriptor: int, outcomes: Sequence[Outcome]) -> None:
    """Make a chunk's pixels durable, then note its outcome.

    The descriptor must be the one through which the pixels were written: it is told of a failure to write them.

    Raises:
        MachineError: the pixels or the note cannot be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise disk_error(error, Path(job.pixels)) from error
    note = {"outcomes": [vars(outcome) for outcome in outcomes]}
    write_sealed(note_path(Path(job.notes), chunk), note, mode=PRIVATE)


def note_path(folder: Path, chunk: Chunk) -> Path:
    """Where a chunk's outcome is noted; its name says of which images, however they are cut another time."""
    return folder / f"chunk-{chunk.first:06d}-{len(chunk.paths)}.json"


def finished(job: Job, chunk: Chunk) -> list[Outcome] | None:
    """The noted outcome of a chunk whose files are still those that were read, else None."""
    path = note_path(Path(job.notes), chunk)
    if not path.is_file():
        return None
    try:
        outcomes = [Outcome(**values) for values in read_sealed(path)["outcomes"]]
    except WorkspaceError:
        return None
    now = [file_state(Path(job.root), name) for name in chunk.paths]
    return outcomes if now == [(outcome.length, outcome.modified) for outcome in outcomes] else None


def file_state(root: Path, name: str) -> tuple[int, int]:
    """A file's length and time of change (ns); (-1, 0) where there is none."""
    try:
        status = os.stat(f"{root}/{name}")  # noqa: PTH116 - for 40,000 names a Path takes longer than the question
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _portion(paths: Sequence[str], first: int, end: int) -> tuple[int, tuple[str, ...]]:
    return first, tuple(paths[first:end])


def _decode(job: Job, root: Path, name: str, descriptor: int, position: int) -> Outcome:
    try:
        image = read(locate(root, name))
    except ImageError as error:
        length, modified = file_state(root, name)
        return Outcome(reason=str(error), length=length, modified=modified)
    pixels = resize(image.grey, size=job.size, fit=job.fit)
    _write(descriptor, pixels.data.cast("B"), job.offset + position * job.size**2)
    height, width = image.grey.shape
    return Outcome("", width, height, image.sha256, image.length, image.modified, _remark(image.grey))


def _write(descriptor: int, data: memoryview, position: int) -> None:
    while data:  # a write may be cut short
        count = os.pwrite(descriptor, data, position)
        data, position = data[count:], position + count


def _remark(grey: Grey) -> str:
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return FLAT
    return DARK if grey.dtype == np.uint16 and high <= _TWELVE_BITS else ""
