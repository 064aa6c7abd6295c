"""A worker's side of a benchmark: it makes itself ready, then does one round of work for each line that it reads.

Workers are processes of their own, so that no two frameworks share one and peak memory is each one's own.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

Spec = dict[str, Any]
Work = Callable[[], tuple[int, float]]  # does a round: images, and the wall seconds that they took


@dataclass(frozen=True)
class Round:
    """One round of one worker: images, wall seconds, seconds of processor time, and peak memory in MiB so far."""

    images: int
    seconds: float
    processor: float
    memory: float

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


def serve(prepare: Callable[[Spec], tuple[Work, dict[str, Any]]]) -> None:
    """Answer the parent: first what `prepare` says of itself, then a round for every line of input."""
    channel = _channel()
    work, facts = prepare(json.loads(sys.argv[1]))
    channel.write(json.dumps(facts) + "\n")
    for _ in sys.stdin:
        before = processor_seconds()
        images, seconds = work()
        done = Round(images, seconds, processor_seconds() - before, peak_memory())
        channel.write(json.dumps(asdict(done)) + "\n")


def converse(prepare: Callable[[Spec], Callable[[Spec], Spec]]) -> None:
    """Answer one question after another, each a JSON object; what goes wrong is an answer too."""
    channel = _channel()
    answer = prepare(json.loads(sys.argv[1]))
    channel.write("{}\n")
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        channel.write(json.dumps(found) + "\n")


def _channel() -> TextIO:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a framework prints is not an answer
    return channel


def processor_seconds() -> float:
    """User and system time of this process and its living children: reading processes count."""
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    ticks = sum(map(_ticks, [str(me), *children]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(process: str) -> int:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return 0
    return int(fields[11]) + int(fields[12])


def peak_memory() -> float:
    """The largest resident size of this process so far, in MiB; reading processes are not counted."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
