"""A program for `tests.system.test_tasks`: its tasks are told what to do, word by word."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from murace.errors import WorkspaceError
from murace.system.progress import Reporter
from murace.system.tasks import serve


def work(words: list[str], reporter: Reporter) -> dict[str, Any]:
    with reporter.bar("epochs", len(words), lines=True) as bar:
        for word in words:
            verb, _, rest = word.partition(" ")
            match verb:
                case "say":
                    reporter.say(rest)
                case "print":  # as a library does that logs to stdout
                    sys.stdout.write(f"{rest}\n")
                    sys.stdout.flush()
                    os.write(1, f"{rest}\n".encode())
                case "warn":
                    reporter.warn(rest)
                case "touch":
                    Path(rest).touch()
                case "wait":  # for a file
                    while not Path(rest).exists():
                        reporter.check()
                        time.sleep(0.01)
                case "refuse":
                    raise WorkspaceError(rest)
                case "break":
                    raise KeyError(rest)
                case "die":
                    os.kill(os.getpid(), getattr(signal, rest))
                    time.sleep(60)
            bar.advance(note=word)
    return {"process": os.getpid(), "words": words}


if __name__ == "__main__":
    serve(work)
