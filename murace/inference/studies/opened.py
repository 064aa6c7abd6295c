"""Studies opened ahead of the nets: the views as these see them, and why a file is no good."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from murace.data.images.decode import read
from murace.data.images.header import ImageError
from murace.data.images.resize import resize
from murace.data.studies.find import StudyFiles
from murace.nets.trained import Bytes
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead

WEIGHT = 64 * 2**20  # bytes of prepared pictures that wait
MOST_THREADS = 8  # a radiograph of 12 megapixels takes 100 MB while it is decoded


@dataclass(frozen=True)
class RequestedStudy:
    """A study to be read: its number in the list, and its group with how that is known, if it is."""

    number: int
    files: StudyFiles
    group: str | None
    source: str


@dataclass(frozen=True)
class OpenedStudy:
    """A study's views: `prepared` uint8 [V, size, size] of those that could be read, one digest or fault for each.

    `sha256` and `faults` are [views of the study]; one of the two is empty for each view. `seconds` it took to read.
    """

    request: RequestedStudy
    prepared: Bytes
    sha256: tuple[str, ...]
    faults: tuple[str, ...]
    seconds: float


@contextmanager
def open_studies(
    wanted: Sequence[RequestedStudy], *, size: int, fit: str, threads: int, reporter: Reporter
) -> Iterator[Iterator[OpenedStudy]]:
    """The studies in their order, read by threads ahead of whoever takes them; bounded memory.

    Raises:
        Interrupted: a signal asked to stop.
    """
    work = partial(_open, size=size, fit=fit)
    count = min(threads, MOST_THREADS)
    with ReadAhead(work, wanted, weigh=lambda one: one.prepared.nbytes, limit=WEIGHT, threads=count) as ahead:
        yield ahead.results(reporter)


def _open(wanted: RequestedStudy, *, size: int, fit: str) -> OpenedStudy:
    began = time.monotonic()
    prepared, digests, faults = list[Bytes](), [], []
    for path in wanted.files.views:
        try:
            picture = read(path)
            prepared.append(resize(picture.grey, size=size, fit=fit))
        except ImageError as error:
            digests.append("")
            faults.append(str(error))
        else:
            digests.append(picture.sha256)
            faults.append("")
    stacked = np.stack(prepared) if prepared else np.empty((0, size, size), np.uint8)
    return OpenedStudy(wanted, stacked, tuple(digests), tuple(faults), time.monotonic() - began)
