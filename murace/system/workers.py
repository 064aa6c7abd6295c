"""Worker processes: programs of murace that a command starts beside itself, and talks to in lines of JSON.

Each is started by a list of words instead of being forked: no threads are copied, and nothing is loaded that it does
not need. Own code: workers of ProcessPoolExecutor and loky outlive a parent that is killed; these end when their stdin
does.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import murace
from murace import errors
from murace.errors import MuraceError
from murace.system.failures import machine_error
from murace.system.signals import blocked

_READ_BYTES = 2**16  # bytes read from a pipe at a time


class WorkerProcess:
    """One worker process, seen from its parent.

    Args:
        module: the program, run as `python -m MODULE`.
        environment: variables that it has besides those of this process.
        is_quiet: whether what it writes to stderr is dropped.
    """

    def __init__(self, module: str, environment: Mapping[str, str], *, is_quiet: bool = False) -> None:
        self.unread = b""
        package = str(Path(murace.__file__).parent.parent)
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        with blocked():  # to stop is the parent's business; a cluster sends its signal to every process
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if is_quiet else None,
                env={**os.environ, **environment, "PYTHONPATH": path},
                process_group=0,  # and so is Ctrl-C
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, message: object) -> None:
        """Send a JSON value. Where the worker has ended nothing happens: `receive` tells."""
        try:
            self.stdin.write(json.dumps(message).encode() + b"\n")
            self.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self) -> list[Any] | None:
        """The messages that have come since the last call, waiting for some; None where the worker has ended."""
        data = os.read(self.stdout.fileno(), _READ_BYTES)
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None

    def how_it_ended(self) -> str:
        """In words, for a worker that has ended by itself."""
        code = self.process.wait()
        if code >= 0:
            return f"ended with code {code}"
        name = signal.Signals(-code).name
        return f"was ended by {name}" + " (no memory left?)" * (name == "SIGKILL")

    def end(self) -> None:
        """End it now, whatever it does."""
        self.process.kill()
        self.process.wait()
        self.stdout.close()
        try:
            self.stdin.close()
        except BrokenPipeError:  # a line it never read
            return


@functools.cache
def pipe_to_parent() -> TextIO:
    """The stdout that this worker was started with; from the first call on, what is printed goes to stderr.

    Called before anything else is loaded: a library may print (`ONEDNN_VERBOSE=1`), and that is no message.
    """
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def answer(message: Mapping[str, Any]) -> None:
    """Send a message from a worker to its parent; where that has gone, the worker ends."""
    try:
        print(json.dumps(message), file=pipe_to_parent(), flush=True)
    except BrokenPipeError:
        os._exit(1)


def error_message(error: Exception) -> dict[str, str]:
    """An exception as a worker's message: an error for people with its kind, anything else as a bug.

    A bug must reach the parent, whose log can be read.
    """
    known = error if isinstance(error, MuraceError) else machine_error(error)
    if known is None:
        return {"bug": "".join(traceback.format_exception(error))}
    return {"error": str(known), "kind": type(known).__name__}


def raise_error(message: Mapping[str, str]) -> None:
    """Raise the exception that a worker's message tells of, if it tells of one."""
    if "bug" in message:
        raise RuntimeError(message["bug"])
    if "error" in message:
        kind: type[MuraceError] = getattr(errors, message["kind"])
        raise kind(message["error"])
