"""Studies opened: their files decoded, once each, by threads ahead of the nets."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from murace.data.images.views import Views, read_views
from murace.data.studies.copies import Copies, find_copies
from murace.data.studies.find import StudyFiles
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead

LIMIT = 64 * 2**20  # bytes of opened studies that wait
MOST_THREADS = 8  # a radiograph of 12 megapixels takes 100 MB while it is decoded


@dataclass(frozen=True)
class RequestedStudy:
    """A study to be opened: its number in the list, and its group with how that is known, if it is."""

    number: int
    files: StudyFiles
    group: str | None
    source: str


@dataclass(frozen=True)
class OpenedStudy:
    """A study with its views, of which copies do not count; `seconds` it took to read them."""

    request: RequestedStudy
    views: Views
    copies: Copies
    seconds: float


@contextmanager
def open_studies(
    requests: Sequence[RequestedStudy],
    *,
    size: int,
    fit: str,
    scales: Sequence[int] = (),
    keep_originals: bool = False,
    limit: int = LIMIT,
    threads: int,
    reporter: Reporter,
) -> Iterator[Iterator[OpenedStudy]]:
    """The studies in their order, read by threads ahead of whoever takes them.

    Args:
        requests: the studies.
        size: side of the prepared pictures, in pixels.
        fit: `squash` or `pad`.
        scales: further multiples of `size`.
        keep_originals: whether the pictures at their own resolution are wanted, too.
        limit: bytes of opened studies that wait; it is exceeded by one study per thread at most.
        threads: that read; at most `MOST_THREADS` are used.
        reporter: asked for signals.

    Raises:
        Interrupted: a signal asked to stop.
    """

    def read(request: RequestedStudy) -> OpenedStudy:
        began = time.monotonic()
        views = read_views(request.files.views, size=size, fit=fit, scales=scales, keep_originals=keep_originals)
        return OpenedStudy(request, views, find_copies(request.files, views), time.monotonic() - began)

    count = max(1, min(threads, MOST_THREADS))
    with ReadAhead(read, requests, weigh=lambda one: one.views.weight, limit=limit, threads=count) as ahead:
        yield ahead.results(reporter)
