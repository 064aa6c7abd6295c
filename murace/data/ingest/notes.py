"""Notes of finished chunks, from which a run that was stopped goes on: a chunk with a valid note is not read again.

A note is written after the chunk's pixels are durable, and holds their digest: where they are not those any more, or a
file is not the one that was read, the note is not valid.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from murace.data.ingest.job import Chunk, ChunkOutcome, ImageOutcome, ReadJob
from murace.errors import WorkspaceError
from murace.system.disk import disk_error
from murace.system.files import PRIVATE
from murace.system.sealed import read_sealed, write_sealed

_FIELDS = vars(ImageOutcome()).keys()


def write_note(job: ReadJob, chunk: Chunk, descriptor: int, chunk_outcome: ChunkOutcome) -> None:
    """Make a chunk's pixels durable, then note its outcome.

    The descriptor must be the one through which the pixels were written: only that one reports a failure to write them.

    Raises:
        MachineError: the pixels or the note cannot be written.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise disk_error(error, Path(job.pixels)) from error
    note = {"outcomes": [vars(outcome) for outcome in chunk_outcome.outcomes], "sha256": chunk_outcome.sha256}
    write_sealed(note_path(Path(job.notes), chunk), note, mode=PRIVATE)


def note_path(folder: Path, chunk: Chunk) -> Path:
    """Where a chunk's outcome is noted; its name says of which images, however they are cut another time."""
    return folder / f"chunk-{chunk.first:06d}-{len(chunk.paths)}.json"


def finished(job: ReadJob, chunk: Chunk) -> list[ImageOutcome] | None:
    """The noted outcome of a chunk whose files are still those that were read and whose rows are, else None."""
    path = note_path(Path(job.notes), chunk)
    if not path.is_file():
        return None
    try:
        note = read_sealed(path)
        if any(values.keys() != _FIELDS for values in note["outcomes"]):  # of a murace that noted something else
            return None
        outcomes, written = [ImageOutcome(**values) for values in note["outcomes"]], note["sha256"]
    except (WorkspaceError, KeyError):  # a note without the digest is of an older murace
        return None
    now = [file_state(Path(job.root), name) for name in chunk.paths]
    if now != [(outcome.length, outcome.modified) for outcome in outcomes]:
        return None
    return outcomes if _digest_of_rows(job, chunk, outcomes) == written else None


def _digest_of_rows(job: ReadJob, chunk: Chunk, outcomes: Sequence[ImageOutcome]) -> str:
    """The SHA-256 of what stands in the array now in the rows of a chunk's usable files."""
    digest, length = hashlib.sha256(), job.size**2
    with Path(job.pixels).open("rb") as file:
        file.seek(job.offset + chunk.first * length)
        for outcome in outcomes:
            row = file.read(length)
            if not outcome.reason:
                digest.update(row)
    return digest.hexdigest()


def file_state(root: Path, name: str) -> tuple[int, int]:
    """A file's length and time of change (ns); (-1, 0) where there is none."""
    try:
        status = os.stat(f"{root}/{name}")  # noqa: PTH116 - for 40,000 names a Path takes longer than the question
    except OSError:
        return -1, 0
    return status.st_size, status.st_mtime_ns
