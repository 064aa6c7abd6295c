import os
import signal

import pytest
import torch

from murace.errors import DismissedError, Interrupted, PeerLostError
from murace.watch import Watch
from murace.world import World, current
from tests.processes import together


def everything() -> dict[str, object]:
    world = current()
    first, second = torch.full((2, 3), float(world.rank + 1)), torch.tensor([10.0 * world.rank])
    world.add([first.T, second])
    share = torch.arange(7, dtype=torch.float64)[world.rank :: world.size, None]
    if world.leads:
        world.tell({"ä": [1, None, "x" * 5000]})
    word = {"ä": [1, None, "x" * 5000]} if world.leads else world.hear()
    return {
        "rank": world.rank,
        "sums": (first.tolist(), second.tolist()),
        "signal": world.first_signal(signal.SIGTERM if world.rank == 1 else None),
        "silence": world.first_signal(None),
        "collected": world.collect(share, 7).flatten().tolist(),
        "word": word,
    }


def test_processes_add_agree_collect_and_hear() -> None:
    answers = together(3, everything)
    assert [answer.pop("rank") for answer in answers] == [0, 1, 2]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["sums"] == ([[6.0] * 3] * 2, [30.0])
    assert answers[0]["signal"] == signal.SIGTERM
    assert answers[0]["silence"] is None
    assert answers[0]["collected"] == list(range(7))


def test_alone_nothing_is_exchanged() -> None:
    world = current()
    assert world == World()
    values = torch.ones(3)
    world.add([values])
    world.tell({"nobody": "listens"})
    assert values.tolist() == [1, 1, 1]
    assert world.first_signal(None) is None
    assert world.collect(values, 3) is values


def lose_one(rank: int) -> None:
    if current().rank == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        current().add([torch.ones(1)])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_is_noticed_by_the_other(rank: int) -> None:
    answers = together(2, lose_one, rank)
    assert answers[rank] is None
    assert answers[1 - rank].kind is PeerLostError


def refuse() -> None:
    if current().leads:
        raise ValueError("the leading process refuses")
    current().hear()


def test_who_waits_for_a_word_is_dismissed_when_the_leading_process_ends() -> None:
    answers = together(2, refuse)
    assert answers[0].kind is ValueError
    assert answers[1].kind is DismissedError


def test_a_signal_that_comes_while_they_tell_each_other_is_not_lost() -> None:
    watch = Watch()

    class Late(World):
        def first_signal(self, signum: int | None) -> int | None:
            watch.signum = signal.SIGTERM  # the handler runs while this process waits for the others
            return signum

    world = Late(size=2)
    world.check(watch)  # nobody else knows yet: to stop alone would leave the others waiting
    assert watch.signum == signal.SIGTERM
    with pytest.raises(Interrupted):
        world.check(watch)
