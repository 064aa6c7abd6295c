"""Decode all images of a source into `pixels.npy`, chunk by chunk, and resume a run that was stopped."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from murace.data.ingest import pixelfile
from murace.data.ingest.chunks import make_chunks
from murace.data.ingest.job import Chunk, ImageOutcome, ReadJob
from murace.data.ingest.notes import finished
from murace.data.ingest.pool import run_chunks
from murace.errors import WorkspaceError
from murace.system.disk import disk_error
from murace.system.disk import require_space as require_free
from murace.system.progress import Reporter
from murace.system.sealed import read_sealed, write_sealed

BLOCK = 512  # bytes, in which stat(2) counts
ABOUT, PIXELS = "about.json", "pixels.npy"
Done = dict[int, list[ImageOutcome]]


@dataclass(frozen=True)
class Request:
    """What to read: files under `root`, in this order, to `size` x `size` in the way of `fit`.

    `follow_links`: read what links out of `root` lead to.
    """

    root: Path
    paths: Sequence[str]
    size: int
    fit: str
    follow_links: bool = False


@dataclass(frozen=True)
class Scratch:
    """The folder of an unfinished run: the array, a note per finished chunk, and what they depend on.

    `target` is where the finished array goes. `about` is whatever the chunks depend on; chunks of another `about` are
    discarded.
    """

    folder: Path
    target: Path
    about: dict[str, Any]

    @property
    def pixels(self) -> Path:
        """The array while it is filled."""
        return self.folder / PIXELS


def require_space(request: Request, scratch: Scratch) -> None:
    """Make sure that the array will fit on the disk, before anything is written.

    Raises:
        MachineError: it will not; the message says what is needed and what there is.
    """
    # An unfinished run's array is as long as it will be, and takes the room of what has been written into it.
    taken = scratch.pixels.stat().st_blocks * BLOCK if scratch.pixels.is_file() else 0
    need = len(request.paths) * request.size**2 - taken
    require_free(
        scratch.folder.parent, need, "the images", "make room, choose another --workspace, or a smaller --size"
    )


def read_all(request: Request, scratch: Scratch, *, jobs: int, reporter: Reporter) -> list[ImageOutcome]:
    """Decode what is not decoded yet; one outcome per path.

    Raises:
        Interrupted: a signal asked to stop; finished chunks are kept.
        MachineError: the disk is too small or fails, or a process dies.
    """
    chunks = make_chunks(request.paths, request.size)
    done = _found(request, scratch, chunks)
    if not done:
        _clear(request, scratch)
    remaining = [chunk for chunk in chunks if chunk.number not in done]
    job = _job(request, scratch, scratch.pixels)
    start = sum(map(len, done.values()))
    if start:
        reporter.say(f"{start} of {len(request.paths)} radiographs had been read before")
    with reporter.bar("reading radiographs", len(request.paths), start=start) as bar:
        for chunk, outcomes in run_chunks(job, remaining, jobs=jobs, reporter=reporter):
            done[chunk.number] = outcomes
            bar.advance(len(outcomes))
    return [outcome for chunk in chunks for outcome in done[chunk.number]]


def place(scratch: Scratch, kept: Sequence[int]) -> None:
    """Move the finished array to its target, with the rows `kept` alone.

    Raises:
        MachineError: the disk is full.
    """
    if scratch.pixels.is_file():  # else a run that was stopped has already done it
        pixelfile.place(scratch.pixels, scratch.target, kept)


def _job(request: Request, scratch: Scratch, pixels: Path) -> ReadJob:
    """What all chunks share; where the array has gone already, nothing is left to do."""
    offset = pixelfile.offset_of(pixels) if pixels.exists() else 0
    places = (str(request.root), str(pixels), str(scratch.folder))
    return ReadJob(*places, offset, request.size, request.fit, request.follow_links)


def _found(request: Request, scratch: Scratch, chunks: Sequence[Chunk]) -> Done:
    """The chunks that need not be read again."""
    if _recorded_about(scratch.folder / ABOUT) != scratch.about:
        return {}
    shape = (len(request.paths), request.size, request.size)
    for pixels in (scratch.pixels, scratch.target):
        if pixelfile.shape_of(pixels) != shape:
            continue
        job = _job(request, scratch, pixels)
        done = {chunk.number: outcomes for chunk in chunks if (outcomes := finished(job, chunk)) is not None}
        # All chunks are noted and the array has gone: it stands in its place already.
        return done if pixels == scratch.pixels or len(done) == len(chunks) else {}
    return {}


def _recorded_about(about: Path) -> dict[str, Any] | None:
    """What the chunks in the folder depend on; None where no record says so, or a damaged one: they are read again."""
    try:
        return read_sealed(about) if about.is_file() else None
    except WorkspaceError:
        return None


def _clear(request: Request, scratch: Scratch) -> None:
    """An empty array of the right length; the note about it is written last."""
    shutil.rmtree(scratch.folder, ignore_errors=True)
    try:
        scratch.folder.mkdir(parents=True)
    except OSError as error:
        raise disk_error(error, scratch.folder) from error
    pixelfile.create(scratch.pixels, len(request.paths), request.size)
    write_sealed(scratch.folder / ABOUT, scratch.about)
