import signal
import subprocess
import sys

import pytest

from murace.errors import Interrupted, UsageError
from murace.system.signals import ON_REQUEST, blocked, requested, stop_signals

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2


@pytest.mark.parametrize(
    ("names", "numbers"),
    [([], ()), (["USR1"], (USR1,)), (["SIGUSR2", "usr1"], (USR2, USR1)), (["USR1", "SIGUSR1"], (USR1,))],
)
def test_signals_by_name(names: list[str], numbers: tuple[signal.Signals, ...]) -> None:
    assert stop_signals(names) == numbers


@pytest.mark.parametrize(
    ("name", "hint"), [("USR11", "did you mean 'USR1'?"), ("KILL", "known: USR1, USR2"), ("10", "known: USR1, USR2")]
)
def test_another_name_is_refused_with_the_closest(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        stop_signals([name])
    assert str(refused.value) == f"--stop-on: unknown signal '{name}'; {hint}"


def test_a_system_without_the_signal_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ON_REQUEST:
        monkeypatch.delattr(signal, f"SIG{name}")
    monkeypatch.delattr(signal, "pthread_sigmask")
    with pytest.raises(UsageError, match="--stop-on USR1: this system has no such signal; leave the option out"):
        stop_signals(["USR1"])
    assert requested() == ()
    with blocked():
        pass


def test_what_is_listened_to_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert requested() == ()
    before = signal.signal(USR2, lambda *_: None)
    try:
        assert requested() == (USR2,)
    finally:
        signal.signal(USR2, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, USR1, USR2])
def test_a_process_that_was_started_meanwhile_is_not_ended_by_it(number: signal.Signals) -> None:
    program = f"import os\nos.kill(os.getpid(), {int(number)})\nprint('alive')"
    with blocked():
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.communicate(timeout=60)[0] == "alive\n"


def test_here_a_signal_that_came_meanwhile_comes_afterwards() -> None:
    came: list[int] = []
    before = signal.signal(USR1, lambda number, frame: came.append(number))
    try:
        with blocked():
            signal.raise_signal(USR1)
            assert came == []
        assert came == [USR1]
    finally:
        signal.signal(USR1, before)


def test_all_but_ctrl_c_count_as_sigterm() -> None:
    codes = {number.name: Interrupted(number).exit_code for number in (signal.SIGINT, signal.SIGTERM, USR1, USR2)}
    assert codes == {"SIGINT": 130, "SIGTERM": 143, "SIGUSR1": 143, "SIGUSR2": 143}
    assert str(Interrupted(USR1)) == "interrupted by SIGUSR1"
