"""(i) What the audit costs beside `prepare`: fingerprints while files are read, and the search for copies afterwards.

Run alone: python -m tests.benchmarks --only audit [--quick]
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import numpy.typing as npt

from murace.data.audit import near
from murace.data.images.fingerprint import perceptual_hash
from murace.data.ingest import chunks, pixelfile
from murace.system.progress import Reporter
from tests.benchmarks.lines import Line
from tests.benchmarks.sources import draw
from tests.benchmarks.worker_reading import SIZE

BAR = 120.0  # seconds beside prepare's own, for MURA on two cores
CORES = 2
SPLITS = (32_133, 4_675, 3_197)  # MURA: 36,808 images of `train`, 12.7 % of them for validation, and 3,197 of `valid`
PLANTED = 50
BIASED = 0.787  # how often a bit is the commoner one: as many candidates as in FracAtlas, 2 of 10,000 pairs


def measure(*, quick: bool = False) -> list[Line]:
    """Reading with and without fingerprints in turn; the search; and both together against the bar."""
    with tempfile.TemporaryDirectory() as place:
        ours, theirs = _reading(Path(place), 40 if quick else 600, 1 if quick else 7)
    splits = tuple(size // 40 for size in SPLITS) if quick else SPLITS
    found, candidates, seconds = search(splits)
    images, extra = sum(splits), (ours - theirs) * sum(splits) / CORES
    total = extra + seconds
    return [
        Line("audit", "reading a file with its fingerprints, against without, processor time", "ms", 1e3 * ours,
             1e3 * theirs, theirs / ours, note=f"{extra:.1f} s more for {images:,} files on {CORES} cores"),
        Line("audit", f"copies among {images:,} images in three splits, processor time of one core", "s", seconds, None,
             None,
             note=f"{candidates:,} candidates, {found} pairs found, {PLANTED} planted"),
        Line("audit", f"the audit of {images:,} images beside prepare, against its bar", "s", total, BAR,
             BAR / total, 1.0),
    ]  # fmt: skip


def _reading(folder: Path, count: int, rounds: int) -> tuple[float, float]:
    """Seconds of processor time a file: with fingerprints, and without."""
    files = draw(folder, count).files
    paths = [path.relative_to(files).as_posix() for path in sorted(files.rglob("*.png"))]
    pixels = folder / "pixels.npy"
    pixelfile.create(pixels, count, SIZE)
    job = chunks.ReadJob(str(files), str(pixels), str(folder), pixelfile.offset_of(pixels), SIZE, "squash")
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds + 1):
        for is_ours in (True, False) if number % 2 else (False, True):
            began = time.process_time()
            if is_ours:
                _read(job, paths)
            else:
                with _without():
                    _read(job, paths)
            if number:  # the first round warms up
                found[is_ours].append((time.process_time() - began) / count)
    return statistics.median(found[True]), statistics.median(found[False])


def _read(job: chunks.ReadJob, paths: list[str]) -> None:
    for chunk in chunks.make_chunks(paths, SIZE):
        chunks.run_chunk(job, chunk)


@contextmanager
def _without() -> Iterator[None]:
    """Reading as it was before there were fingerprints, and digests of what is written."""
    nothing = SimpleNamespace(update=lambda _: None, hexdigest=lambda: "")
    with (
        mock.patch.object(chunks, "perceptual_hash", return_value=0),
        mock.patch.object(chunks, "pixel_digest", return_value=""),
        mock.patch.object(chunks, "hashlib", SimpleNamespace(sha256=lambda: nothing)),
    ):
        yield


def search(splits: tuple[int, ...]) -> tuple[int, int, float]:
    """Pairs found, candidates looked at, and seconds of processor time; 50 mirrored copies stand in two splits."""
    random = np.random.default_rng(0)
    count = sum(splits)
    bits = random.random((count, near.BITS)) < BIASED
    hashes = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    films = random.integers(0, 256, (400, SIZE, SIZE), dtype=np.uint8)
    places, copies = np.arange(PLANTED), count - 1 - np.arange(PLANTED)
    own = {int(copy): np.fliplr(films[place]) for place, copy in zip(places, copies, strict=True)}
    for place, copy in zip(places, copies, strict=True):
        hashes[place], hashes[copy] = perceptual_hash(films[place]), perceptual_hash(own[int(copy)])
    ends = np.cumsum((0, *splits))
    parts = [np.arange(first, last) for first, last in pairwise(ends)]
    seen = [0]

    def alike(*given: object) -> near._Candidates:
        candidates = own_alike(*given)  # type: ignore[arg-type]
        seen[0] += len(candidates.row)
        return candidates

    def picture(row: int) -> npt.NDArray[np.uint8]:
        """Noise, no two rows the same."""
        return own[row] if row in own else np.roll(films[row % len(films)], row // len(films), axis=1)

    own_alike = near._alike
    with mock.patch.object(near, "_alike", alike):
        began = time.process_time()
        pairs = near.near_duplicates(hashes, parts, picture, Reporter())
        seconds = time.process_time() - began
    return len(pairs), seen[0], seconds
