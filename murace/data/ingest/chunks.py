"""Decode one chunk of images straight into the shared pixel array, then write its note.

Only light imports: each process loads this module.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from murace.data.images.decode import MISSING, Grey, read
from murace.data.images.fingerprint import perceptual_hash, pixel_digest
from murace.data.images.header import ImageError
from murace.data.images.resize import resize, unpadded
from murace.data.ingest.job import DARK, FLAT, REMARK_BETWEEN, Chunk, ChunkOutcome, ImageOutcome, ReadJob
from murace.data.ingest.notes import file_state, write_note
from murace.data.tables.paths import locate
from murace.system.disk import disk_error

CHUNK_IMAGES = 50
CHUNK_BYTES = 32 * 2**20
TAIL_CHUNKS = 5  # so many chunks at the end are split into as many small ones each
_TWELVE_BITS = 4095


def chunk_length(size: int) -> int:
    """How many images of that size make a chunk."""
    return max(1, min(CHUNK_IMAGES, CHUNK_BYTES // size**2))


def make_chunks(paths: Sequence[str], size: int) -> list[Chunk]:
    """Cut the files into chunks, the same for any number of processes; small ones last, so that all end together."""
    step = chunk_length(size)
    large = max(0, len(paths) // step - TAIL_CHUNKS) * step
    small = max(1, step // TAIL_CHUNKS)
    starts = [*range(0, large, step), *range(large, len(paths), small), len(paths)]
    return [Chunk(number, first, tuple(paths[first:end])) for number, (first, end) in enumerate(pairwise(starts))]


def run_chunk(job: ReadJob, chunk: Chunk, check: Callable[[], None] = lambda: None) -> list[ImageOutcome]:
    """Decode one chunk and note it; `check` is called before each image and may raise to stop.

    Raises:
        MachineError: the pixels or the note cannot be written.
    """
    with open_array(job) as descriptor:
        chunk_outcome = read_chunk(job, chunk, descriptor, check)
        write_note(job, chunk, descriptor, chunk_outcome)
    return chunk_outcome.outcomes


@contextmanager
def open_array(job: ReadJob) -> Iterator[int]:
    """Open the array's file for writing, as a descriptor; a symbolic link in its place is not followed.

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


def read_chunk(job: ReadJob, chunk: Chunk, descriptor: int, check: Callable[[], None] = lambda: None) -> ChunkOutcome:
    """Decode one chunk into the array; nothing of it is durable before `write_note`.

    Raises:
        MachineError: the pixels cannot be written.
    """
    root, outcomes, written = Path(job.root), [], hashlib.sha256()
    try:
        for position, path in enumerate(chunk.paths, chunk.first):
            check()
            outcome, row = _decode(job, root, path)
            outcomes.append(outcome)
            if row is not None:
                _write(descriptor, row, job.offset + position * job.size**2)
                written.update(row)
    except OSError as error:
        raise disk_error(error, Path(job.pixels)) from error
    return ChunkOutcome(outcomes, written.hexdigest())


def _decode(job: ReadJob, root: Path, name: str) -> tuple[ImageOutcome, memoryview | None]:
    """What came of a file, and its row of the array if it is usable."""
    try:
        image = read(locate(root, name, follow_links=job.follow_links))
    except ImageError as error:
        length, modified = file_state(root, name)
        is_dangling = str(error) == MISSING and (root / name).is_symlink()
        hint = ": a link to nothing" if is_dangling else ""  # its content may not have been fetched
        return ImageOutcome(reason=f"{error}{hint}", length=length, modified=modified), None
    square, (height, width) = resize(image.grey, size=job.size, fit=job.fit), image.grey.shape
    phash = f"{perceptual_hash(unpadded(square, width=width, height=height, fit=job.fit)):016x}"
    seen = (image.sha256, image.length, image.modified, _remark(image.grey), pixel_digest(image.grey))
    remarks = REMARK_BETWEEN.join(image.remarks)
    return ImageOutcome("", width, height, *seen, phash, image.colour, remarks), square.data.cast("B")


def _write(descriptor: int, data: memoryview, position: int) -> None:
    while data:  # a write may be cut short
        count = os.pwrite(descriptor, data, position)
        data, position = data[count:], position + count


def _remark(grey: Grey) -> str:
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return FLAT
    return DARK if grey.dtype == np.uint16 and high <= _TWELVE_BITS else ""
