"""What a step tells whoever watches it, and how it learns that it should stop.

Steps and movers never print: they take a `Reporter`. This one is silent (tests, notebooks); the console's
subclass draws bars on a terminal and writes plain lines elsewhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from murace.errors import Interrupted


class Bar:
    """One running count."""

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count `by` more; `note` is shown beside the bar."""


class Reporter:
    """A silent watcher."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.warned: set[str] = set()

    def say(self, message: str) -> None:
        """A line about what happens."""

    def warn(self, message: str) -> None:
        """A line that the user should not miss; shown even when quiet."""

    def warn_once(self, message: str) -> None:
        """A warning that several parts of a command have cause for, the first time only."""
        if message not in self.warned:
            self.warned.add(message)
            self.warn(message)

    @contextmanager
    def bar(self, title: str, total: int, *, start: int = 0, lines: bool = False) -> Iterator[Bar]:
        """A bar over `total` things, `start` of them done; `lines`: off a terminal, print one line per advance."""
        yield Bar()

    def check(self) -> None:
        """Raise `Interrupted` if a signal has come. Called between any two pieces of work worth keeping."""
        if self.signum is not None:
            raise Interrupted(self.signum)
