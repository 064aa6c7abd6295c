"""One measured line of the benchmark's table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """`ours` against `theirs`, both in `unit` (rates: more is better; seconds: less is better).

    `ratio` is how many times better ours is; `target` its bar, None where there is none; `memory` peak MiB of ours and
    theirs.
    """

    part: str
    what: str
    unit: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: float | None = None
    memory: tuple[float | None, float | None] = (None, None)
    note: str = ""
