import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from murace.errors import Interrupted, MachineError
from murace.system.progress import Reporter
from murace.system.threads import ReadAhead, WriteBehind


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def ahead(work, items, *, limit: int = 100, threads: int = 3) -> ReadAhead:
    return ReadAhead(work, items, weigh=lambda result: 1, limit=limit, threads=threads)


def slow(number: int) -> int:
    time.sleep(0.02 * (number % 3))  # so that later ones overtake
    return number


def fail(number: int) -> int:
    if number == 2:
        raise MachineError("disk full")
    return number


def test_results_come_in_the_order_of_the_items() -> None:
    with ahead(slow, range(12)) as results:
        assert list(results.results(Reporter())) == list(range(12))


@pytest.mark.parametrize(("limit", "threads"), [(0, 1), (0, 3), (4, 2)])
def test_what_is_read_ahead_is_bounded_and_the_caller_never_waits_for_ever(limit: int, threads: int) -> None:
    begun: list[int] = []
    with ahead(begun.append, range(20), limit=limit, threads=threads) as results:
        for taken, _ in enumerate(results.results(Reporter())):
            time.sleep(0.01)
            assert len(begun) <= taken + 2 + limit + threads
    assert len(begun) == 20


def test_reading_ahead_goes_on_while_the_caller_is_busy() -> None:
    done = threading.Semaphore(0)

    def work(number: int) -> int:
        done.release()
        return number

    with ahead(work, range(5), threads=1) as results:
        waiting = results.results(Reporter())
        next(waiting)
        assert all(done.acquire(timeout=10) for _ in range(5))


def test_an_exception_comes_where_the_result_would_have() -> None:
    with ahead(fail, range(9)) as before:
        results = before.results(Reporter())
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(MachineError, match="disk full"):
            next(results)
    with WriteBehind[int](limit=0, threads=2, reporter=Reporter()) as behind:
        assert [behind.put(partial(fail, number), weight=1) for number in range(3)] == [[], [0], [1]]
        with pytest.raises(MachineError, match="disk full"):
            list(behind.rest())


def test_leaving_early_drops_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    with ahead(work, range(1000), limit=2, threads=2) as results:
        next(results.results(Reporter()))
    assert len(begun) < 10
    with WriteBehind[None](limit=1000, threads=2, reporter=Reporter()) as behind:
        for number in range(1000):
            behind.put(partial(work, -number - 1), weight=1)
    assert len(begun) < 1000


def test_a_signal_ends_the_waiting() -> None:
    reporter, gate = Reporter(), threading.Event()
    threading.Timer(0.1, lambda: (setattr(reporter, "signum", 2), threading.Timer(0.5, gate.set).start())).start()
    with pytest.raises(Interrupted), ahead(lambda number: gate.wait(30), range(3), threads=1) as results:
        next(results.results(reporter))
    assert gate.is_set()
    with WriteBehind[bool](limit=1, threads=1, reporter=reporter) as behind, pytest.raises(Interrupted):
        behind.put(lambda: True, weight=1)


def test_what_waits_behind_is_bounded_and_each_result_comes_once() -> None:
    got: list[int] = []
    with WriteBehind[int](limit=3, threads=2, reporter=Reporter()) as behind:
        for number in range(20):
            got += behind.put(partial(slow, number), weight=1)
            assert number + 1 - len(got) <= 3
        got += behind.put(lambda: 99, weight=1000)  # heavier than the limit: alone
        assert got == list(range(20))
        got += behind.rest()
    assert got == [*range(20), 99]
