"""A pseudo-terminal with a program in it."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

# The program's own session gets the terminal as its controlling one: Ctrl-C reaches it as a signal.
LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
CTRL_C = "\x03"


class Terminal:
    """Start `command` in a terminal, type into it, see what it shows; ends it at the end of the `with`."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], columns: int = 100) -> None:
        self.shown = ""
        self.screen, inside = pty.openpty()
        termios.tcsetwinsize(self.screen, (40, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command],
            cwd=cwd,
            env=env,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.screen)

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def read_until(self, is_there: Callable[[str], object], *, seconds: float = 60) -> str:
        """All that was shown so far, once it is there (or the program has ended, or the time is over)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not is_there(self.shown):
            if select.select([self.screen], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self.screen, 4096).decode(errors="replace")
                except OSError:  # how Linux says that the program has gone
                    break
        return self.shown


def plain(shown: str) -> str:
    """Without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
