"""The command line in a process forked from one that has loaded everything: as a user's, but there at once."""

import os
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.crash.killing import CONTEXT


def start(log: Path, *words: object) -> BaseProcess:
    """Start `murace WORDS`; what it says on stderr goes to `log`."""
    process = CONTEXT.Process(target=_command, args=(os.fspath(log), [str(word) for word in words]))
    process.start()
    return process


def _command(log: str, words: list[str]) -> None:
    from murace.__main__ import main

    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, 2)
    os.dup2(null, 1)
    sys.argv = ["murace", *words]
    os.environ["OMP_NUM_THREADS"] = "1"
    main()
