"""Progress as plain lines, for logs and pipes."""

from collections.abc import Callable

from murace.system.progress import Bar

STOPPING = "stopping at the next safe point (again to stop at once)"


class PlainBar(Bar):
    """A line per advance."""

    def __init__(self, say: Callable[[str], None], title: str, total: int, start: int) -> None:
        self.say, self.title, self.total, self.done = say, title.removesuffix("s"), total, start

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count `by` more and print the count."""
        self.done += by
        self.say(f"{self.title} {self.done}/{self.total}  {note}".rstrip())
