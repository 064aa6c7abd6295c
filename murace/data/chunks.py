"""What a reading process does with one chunk: decode its files straight into the shared array, then note the outcome.

Only light imports: each process loads this module. The note of a chunk is written after its pixels are durable, so a
chunk with a note is finished whatever happened next.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from murace.data.decode import Grey, read, resize
from murace.data.header import ImageError
from murace.data.paths import locate
from murace.errors import WorkspaceError
from murace.files import disk_error, read_json, write_json

CHUNK_IMAGES = 50
CHUNK_BYTES = 32 * 2**20
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


def run_chunk(job: Job, chunk: Chunk, check: Callable[[], None] = lambda: None) -> list[Outcome]:
    """Decode one chunk and note it; `check` is called before each image and may raise to stop.

    Raises:
        MachineError: the pixels or the note cannot be written.
    """
    pixels, outcomes = Path(job.pixels), []
    try:
        descriptor = os.open(pixels, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for position, path in enumerate(chunk.paths, chunk.first):
                check()
                outcomes.append(_decode(job, path, descriptor, position))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise disk_error(error, pixels) from error
    write_json(note_path(Path(job.notes), chunk.number), [asdict(outcome) for outcome in outcomes], mode=0o600)
    return outcomes


def note_path(folder: Path, number: int) -> Path:
    """Where a chunk's outcome is noted."""
    return folder / f"chunk-{number:06d}.json"


def finished(job: Job, chunk: Chunk) -> list[Outcome] | None:
    """The noted outcome of a chunk whose files are still those that were read, else None."""
    path = note_path(Path(job.notes), chunk.number)
    if not path.is_file():
        return None
    try:
        outcomes = [Outcome(**values) for values in read_json(path)]
    except (WorkspaceError, TypeError):
        return None
    now = [file_state(Path(job.root), name) for name in chunk.paths]
    return outcomes if now == [(outcome.length, outcome.modified) for outcome in outcomes] else None


def file_state(root: Path, name: str) -> tuple[int, int]:
    """A file's length and time of change (ns); (-1, 0) where there is none."""
    try:
        status = (root / name).stat()
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _decode(job: Job, name: str, descriptor: int, position: int) -> Outcome:
    root = Path(job.root)
    try:
        image = read(locate(root, name))
    except ImageError as error:
        length, modified = file_state(root, name)
        return Outcome(reason=str(error), length=length, modified=modified)
    pixels = resize(image.grey, size=job.size, fit=job.fit)
    _write(descriptor, memoryview(pixels.tobytes()), job.offset + position * job.size**2)
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
