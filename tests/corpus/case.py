"""One case of the bad-input corpus: what is laid out, what is typed, and how murace must answer."""

import csv
import json
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.cli.typed import typed
from tests.data.files import picture, png

SIDE = 16  # of the carrier's pictures, and of the prepared ones: nothing is resized, so pixels can be compared
SPLITS = ("train", "validation", "test")
EACH = 2  # carrier images of a split and a label
CARRIED = EACH * 2 * len(SPLITS)
HEADER = "path,label,split"

LOCK = "workspace/prepare/.lock"
REJECTED = "workspace/prepare/rejected.csv"
# A refused prepare leaves the list of what it cannot use and, for its next try, what it has read; no result.
REFUSED = (LOCK, REJECTED, "workspace", "workspace/prepare", "workspace/prepare/partial", "workspace/prepare/partial/*")
MADE = (LOCK, "workspace", *(f"workspace/{name}" for name in (
    "prepare", "prepare/*.csv", "prepare/pixels.npy", "prepare/step.json"
)))  # fmt: skip
UNTOUCHED = ()

KINDS = {0: "", 2: "UsageError", 3: "DataError", 4: "WorkspaceError", 5: "MachineError"}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is laid out in an empty folder by `build`, which returns the words to type there, and the answer.

    `says` is a regular expression: of the error's message, or of all that is said where nothing is refused. `leaves`
    are patterns of what may stand there afterwards that did not before; nothing else, and nothing may change but what
    the case itself `moves`. `check` looks closer, at the folder and the object that `--json` prints. `during` is what
    goes on meanwhile.
    """

    number: str
    name: str
    build: Callable[[Path], Sequence[object]]
    exit_code: int = 3
    says: str = ""
    leaves: Sequence[str] = UNTOUCHED
    moves: Sequence[str] = ()
    check: Callable[[Path, dict[str, Any]], None] = field(default=lambda folder, answer: None)
    during: Callable[[], AbstractContextManager[object]] = nullcontext

    @property
    def row(self) -> int:
        """Its number in the corpus: 24 for 24b."""
        return int(self.number.rstrip("abcdefghijklmnopqrstuvwxyz"))

    def __str__(self) -> str:
        return f"{self.number}-{self.name}".replace(" ", "-")


@dataclass(frozen=True)
class Outcome:
    """What came of a case: the answer, after how many seconds of this process, and the differences in its folder."""

    words: Sequence[object]
    seconds: float
    result: Result
    answer: dict[str, Any]
    added: set[str]
    changed: set[str]


def carry_out(case: Case, folder: Path) -> Outcome:
    """Lay the case out in `folder`, which is the current one, and type it."""
    words = case.build(folder)
    before = tree(folder)
    start = time.process_time()
    with case.during():
        result = typed(*words[:1], "--json", *words[1:])
    seconds = time.process_time() - start
    after = tree(folder)
    changed = {name for name, state in before.items() if after.get(name) != state}
    # A usage error found before any command has begun prints its object too.
    return Outcome(words, seconds, result, json.loads(result.stdout), set(after) - set(before), changed)


def verify(case: Case, folder: Path) -> Outcome:
    """The exit code, the kind of error, one line that says why, no traceback, and nothing left behind."""
    done = carry_out(case, folder)
    error = done.answer.get("error", {"kind": "", "message": "", "exit_code": 0})
    assert (done.result.exit_code, error["exit_code"], error["kind"]) == (
        case.exit_code, case.exit_code, KINDS[case.exit_code]
    ), done.result.output  # fmt: skip
    assert "Traceback" not in done.result.output
    said = error["message"] if case.exit_code else done.result.stderr + json.dumps(done.answer)
    assert re.search(case.says, said), said
    assert len(error["message"]) < 2000 + sum(len(str(word)) for word in done.words)
    assert all(letter.isprintable() for letter in error["message"])
    assert all(letter.isprintable() or letter == "\n" for letter in done.result.stderr)
    assert {name for name in done.added if not any(fnmatch(name, each) for each in case.leaves)} == set()
    assert {name for name in done.changed if not any(fnmatch(name, each) for each in case.moves)} == set()
    case.check(folder, done.answer)
    return done


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below `folder`, links not followed: kind, size, time of change of files, and what is in them."""
    found: dict[str, tuple[object, ...]] = {}
    for place, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            path = os.path.join(place, name)  # noqa: PTH118 - as bytes: some names are no text
            status = os.lstat(path)
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(folder)))
            if stat.S_ISREG(status.st_mode):
                # A lock is signed while it is held, and a run that goes on notes again that it has begun.
                time = status.st_mtime_ns if name not in (b".lock", b"begun.json") else 0
                with open(path, "rb") as file:  # noqa: PTH123
                    found[relative] = (status.st_mode, time, file.read() if name != b".lock" else b"")
            elif stat.S_ISLNK(status.st_mode):
                found[relative] = (status.st_mode, os.readlink(path))  # noqa: PTH115
            else:
                found[relative] = (status.st_mode,)
    return found


@cache
def _pictures() -> tuple[bytes, ...]:
    return tuple(png(picture(seed, SIDE, SIDE)) for seed in range(CARRIED))


def carrier(folder: Path, *rows: str, header: str = HEADER, row: str = "{path},{label},{split}") -> Path:
    """A small valid manifest, `folder/source/manifest.csv`, with `rows` after its own."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    lines = [header]
    for number, data in enumerate(_pictures()):
        path = f"good{number:02d}.png"
        (source / path).write_bytes(data)
        split = SPLITS[number // 2 % len(SPLITS)]
        lines.append(row.format(path=path, label=number % 2, split=split, number=number))
    manifest = source / "manifest.csv"
    manifest.write_bytes(("\n".join([*lines, *rows]) + "\n").encode(errors="surrogateescape"))
    return manifest


def parameters(cases: Sequence[Case]) -> Any:
    """The cases as parameters of a test, each under its name."""
    return [pytest.param(case, id=str(case)) for case in cases]


def prepare(source: object, *more: object) -> list[object]:
    """The words that prepare a source here."""
    return ["prepare", source, "-w", "workspace", "--size", SIDE, "--jobs", 1, *more]


def rejected(folder: Path) -> list[tuple[str, str]]:
    """The rows of `rejected.csv`."""
    with (folder / REJECTED).open(newline="") as file:
        return [(path, reason) for path, reason in csv.reader(file)][1:]
