import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from murace.errors import DismissedError, Interrupted, MachineError, PeerLostError
from murace.system.launch import VARIABLES
from murace.system.processes import ProcessGroup, joined, process_group
from murace.system.progress import Reporter
from tests.processes import together


def everything() -> dict[str, object]:
    processes = process_group()
    first, second = torch.full((2, 3), float(processes.rank + 1)), torch.tensor([10.0 * processes.rank])
    processes.add([first.T, second])
    share = torch.arange(7, dtype=torch.float64)[processes.rank :: processes.size, None]
    if processes.leads:
        processes.broadcast({"ä": [1, None, "x" * 5000]})
    word = {"ä": [1, None, "x" * 5000]} if processes.leads else processes.receive()
    return {
        "rank": processes.rank,
        "sums": (first.tolist(), second.tolist()),
        "signal": processes.first_signal(signal.SIGTERM if processes.rank == 1 else None),
        "silence": processes.first_signal(None),
        "collected": processes.collect(share, 7).flatten().tolist(),
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
    processes = process_group()
    assert processes == ProcessGroup()
    values = torch.ones(3)
    processes.add([values])
    processes.broadcast({"nobody": "listens"})
    assert values.tolist() == [1, 1, 1]
    assert processes.first_signal(None) is None
    assert processes.collect(values, 3) is values


def lose_one(rank: int) -> None:
    if process_group().rank == rank:
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        process_group().add([torch.ones(1)])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_is_noticed_by_the_other(rank: int) -> None:
    answers = together(2, lose_one, rank)
    assert answers[rank] is None
    assert answers[1 - rank].kind is PeerLostError


def refuse() -> None:
    if process_group().leads:
        raise ValueError("the leading process refuses")
    process_group().receive()


def test_who_waits_for_a_word_is_dismissed_when_the_leading_process_ends() -> None:
    answers = together(2, refuse)
    assert answers[0].kind is ValueError
    assert answers[1].kind is DismissedError


def vanish() -> None:
    process_group().add(
        [torch.ones(1)]
    )  # all have joined: one that vanishes before that cannot be told from no network
    if process_group().leads:
        os.kill(os.getpid(), signal.SIGKILL)
    process_group().receive()


def test_who_waits_for_a_word_of_a_leading_process_that_was_killed_says_so() -> None:
    answers = together(3, vanish)
    assert answers[0] is None
    assert [answer.kind for answer in answers[1:]] == [PeerLostError, PeerLostError]


def fill_the_disk() -> None:
    if process_group().leads:
        raise MachineError("disk full")
    process_group().add([torch.ones(1)])


def test_what_befell_the_leading_process_is_its_own_to_say_in_the_midst_of_an_exchange_too() -> None:
    answers = together(2, fill_the_disk)
    assert [answer.kind for answer in answers] == [MachineError, DismissedError]


def lose_a_gpu(words: str) -> None:
    if process_group().rank == 1:

        def all_reduce(*_: object) -> None:
            raise RuntimeError(words)

        torch.distributed.all_reduce = all_reduce
    process_group().add([torch.ones(1)])


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("CUDA error: unspecified launch failure", RuntimeError),
        ("[enforce fail] DefaultCPUAllocator: can't allocate memory", RuntimeError),
        ("Connection closed by peer", PeerLostError),
    ],
)
def test_a_gpu_that_is_lost_is_not_called_a_lost_peer(words: str, kind: type[Exception]) -> None:
    """It shows in whatever the process asks of it next, which may be an exchange; the other process ends too."""
    other, mine = together(2, lose_a_gpu, words)
    assert (mine.kind, other.kind) == (kind, PeerLostError)


def be_told_to_stop(how: str) -> None:
    if process_group().rank == 1:
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise Interrupted(signal.SIGTERM)
    time.sleep(1)  # torchrun sees that a process has gone, and ends the others
    raise Interrupted(signal.SIGTERM)


@pytest.mark.parametrize(("how", "kind"), [("killed", PeerLostError), ("stopped", Interrupted)])
def test_torchruns_signal_after_a_death_is_no_interruption(how: str, kind: type[Exception]) -> None:
    assert together(2, be_told_to_stop, how)[0].kind is kind


WAIT = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *given: None)
from murace.system.processes import joined
print("waiting", flush=True)
with joined():
    pass
"""


def alone_of_two(script: str) -> subprocess.Popen[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = dict(zip(VARIABLES, ("0", "2", "0", "2", "127.0.0.1", str(port)), strict=True))
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, **values, "PYTHONPATH": root}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_process_that_waits_for_the_others_to_join(signum: int) -> None:
    with alone_of_two(WAIT) as process:
        assert process.stdout.readline() == "waiting\n"
        time.sleep(1)
        process.send_signal(signum)
        try:
            assert process.wait(5) == -signum
        finally:
            process.kill()


def test_a_signal_heard_before_joining_is_not_waited_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *given: pytest.fail("it waits for the others"))
    reporter = Reporter()
    reporter.signum = signal.SIGTERM
    before = signal.getsignal(signal.SIGINT)  # pytest's own
    assert before not in (signal.SIG_DFL, None)
    with pytest.raises(Interrupted), joined(reporter):
        pytest.fail("joined")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_that_comes_while_they_tell_each_other_is_not_lost() -> None:
    reporter = Reporter()

    class Late(ProcessGroup):
        def first_signal(self, signum: int | None) -> int | None:
            reporter.signum = signal.SIGTERM  # the handler runs while this process waits for the others
            return signum

    processes = Late(size=2)
    processes.check(reporter)  # nobody else knows yet: to stop alone would leave the others waiting
    assert reporter.signum == signal.SIGTERM
    with pytest.raises(Interrupted):
        processes.check(reporter)
