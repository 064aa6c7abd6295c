"""What a reading process does with one chunk: decode its files straight into the shared array, then note the outcome.

Only light imports: each process loads this module.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from murace.data.images.decode import Grey, read
from murace.data.images.fingerprint import perceptual_hash, pixel_digest
from murace.data.images.header import ImageError
from murace.data.images.resize import resize, unpadded
from murace.data.ingest.job import DARK, FLAT, Chunk, Job, Outcome, Portion
from murace.data.ingest.notes import file_state, settle
from murace.data.tables.paths import locate
from murace.system.disk import disk_error

CHUNK_IMAGES = 50
CHUNK_BYTES = 32 * 2**20
TAIL_CHUNKS = 5  # so many chunks at the end are cut into as many portions each
_TWELVE_BITS = 4095


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
        portion = read_chunk(job, chunk, descriptor, check)
        settle(job, chunk, descriptor, portion)
    return portion.outcomes


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


def read_chunk(job: Job, chunk: Chunk, descriptor: int, check: Callable[[], None] = lambda: None) -> Portion:
    """Decode one chunk into the array; nothing of it is durable before `settle`.

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
    return Portion(outcomes, written.hexdigest())


def _portion(paths: Sequence[str], first: int, end: int) -> tuple[int, tuple[str, ...]]:
    return first, tuple(paths[first:end])


def _decode(job: Job, root: Path, name: str) -> tuple[Outcome, memoryview | None]:
    """What came of a file, and its row of the array if it is usable."""
    try:
        image = read(locate(root, name))
    except ImageError as error:
        length, modified = file_state(root, name)
        return Outcome(reason=str(error), length=length, modified=modified), None
    square, (height, width) = resize(image.grey, size=job.size, fit=job.fit), image.grey.shape
    phash = f"{perceptual_hash(unpadded(square, width=width, height=height, fit=job.fit)):016x}"
    outcome = Outcome("", width, height, image.sha256, image.length, image.modified, _remark(image.grey))
    return replace(outcome, pixels=pixel_digest(image.grey), phash=phash, colour=image.colour), square.data.cast("B")


def _write(descriptor: int, data: memoryview, position: int) -> None:
    while data:  # a write may be cut short
        count = os.pwrite(descriptor, data, position)
        data, position = data[count:], position + count


def _remark(grey: Grey) -> str:
    low, high = int(grey.min()), int(grey.max())
    if low == high:
        return FLAT
    return DARK if grey.dtype == np.uint16 and high <= _TWELVE_BITS else ""
