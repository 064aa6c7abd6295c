"""Work in threads beside the caller: ahead of what it needs next, and behind it what it has finished with.

Both hold a bounded weight (bytes), give their results in order, and hand on an exception of a thread where its result
would have come. Leaving their blocks drops what has not begun and waits for what has: no thread is left running.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from threading import Condition
from typing import Generic, Self, TypeVar

from murace.system.progress import Reporter

T = TypeVar("T")
R = TypeVar("R")
_POLL = 0.2  # seconds between two looks at the reporter


class ReadAhead(Generic[T, R]):
    """The results of `work` on `items`, iterated over in order while threads work on those to come.

    Work on an item begins while the results that wait weigh less than `limit`, so that they may exceed it by one result
    per thread. The item that the caller waits for is always begun.
    """

    def __init__(
        self, work: Callable[[T], R], items: Iterable[T], *, weigh: Callable[[R], int], limit: int, threads: int
    ) -> None:
        self.work, self.weigh, self.limit = work, weigh, limit
        self.room = Condition()
        self.held = self.wanted = 0
        self.is_closed = False
        self.pool = ThreadPoolExecutor(threads)
        self.futures = deque(self.pool.submit(self._do, number, item) for number, item in enumerate(items))

    def __enter__(self) -> Self:
        return self

    def results(self, reporter: Reporter) -> Iterator[R]:
        """The results in the order of the items.

        Raises:
            Interrupted: a signal asked to stop.
        """
        while self.futures:
            result = _result(self.futures.popleft(), reporter)
            with self.room:
                self.held -= self.weigh(result)
                self.wanted += 1
                self.room.notify_all()
            yield result

    def _do(self, number: int, item: T) -> R:
        with self.room:
            self.room.wait_for(lambda: self.is_closed or number <= self.wanted or self.held < self.limit)
            if self.is_closed:
                raise CancelledError
        result = self.work(item)
        with self.room:
            self.held += self.weigh(result)
        return result

    def __exit__(self, *_: object) -> None:
        with self.room:
            self.is_closed = True
            self.room.notify_all()
        self.pool.shutdown(cancel_futures=True)


class WriteBehind(Generic[R]):
    """Work that is handed over; what waits or is under way weighs at most `limit`, or is one piece."""

    def __init__(self, *, limit: int, threads: int, reporter: Reporter) -> None:
        self.limit, self.reporter = limit, reporter
        self.pool = ThreadPoolExecutor(threads)
        self.pieces: deque[tuple[int, Future[R]]] = deque()

    def __enter__(self) -> Self:
        return self

    def put(self, work: Callable[[], R], *, weight: int) -> list[R]:
        """Hand a piece over when there is room for it; returns the results of earlier pieces, each once.

        Raises:
            Interrupted: a signal asked to stop.
        """
        results = []
        while self.pieces and (self.pieces[0][1].done() or self._weight() + weight > self.limit):
            results.append(_result(self.pieces.popleft()[1], self.reporter))
        self.reporter.check()
        self.pieces.append((weight, self.pool.submit(work)))
        return results

    def rest(self) -> Iterator[R]:
        """The results of all other pieces, as they are finished.

        Raises:
            Interrupted: a signal asked to stop.
        """
        while self.pieces:
            yield _result(self.pieces.popleft()[1], self.reporter)

    def _weight(self) -> int:
        return sum(weight for weight, _ in self.pieces)

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)


def _result(future: "Future[R]", reporter: Reporter) -> R:
    reporter.check()
    while not wait([future], _POLL).done:
        reporter.check()
    return future.result()
