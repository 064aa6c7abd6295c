"""The signals that ask a command to stop at the next safe point, and processes beside it that they must not end."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from murace.errors import UsageError
from murace.vocabulary import closest

ALWAYS = (signal.SIGINT, signal.SIGTERM)
ON_REQUEST = ("USR1", "USR2")  # what a cluster sends before the time is up; Windows has neither


def stop_signals(names: Iterable[str]) -> tuple[signal.Signals, ...]:
    """The signals that `--stop-on` names, as USR1 or SIGUSR1.

    Raises:
        UsageError: one is none that can be asked for, or this system lacks it.
    """
    found = {}
    for name in names:
        short = name.upper().removeprefix("SIG")
        if short not in ON_REQUEST:
            raise UsageError(f"--stop-on: unknown signal '{name}'{closest(short, ON_REQUEST)}")
        number = getattr(signal, f"SIG{short}", None)
        if number is None:
            raise UsageError(f"--stop-on {name}: this system has no such signal; leave the option out")
        found[short] = number
    return tuple(found.values())


def requested() -> tuple[signal.Signals, ...]:
    """The signals of `ON_REQUEST` that this process listens to now."""
    there = [getattr(signal, f"SIG{name}") for name in ON_REQUEST if hasattr(signal, f"SIG{name}")]
    return tuple(number for number in there if callable(signal.getsignal(number)))


@contextmanager
def blocked() -> Iterator[None]:
    """Let processes that are started meanwhile receive none of these signals, whoever sends them to all of a job.

    A process keeps the mask that it was started with. What comes to this one meanwhile is delivered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    there = [getattr(signal, f"SIG{name}") for name in ON_REQUEST]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*ALWAYS, *there})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
