"""The journal of an unfinished prediction: a line for each study, so that a killed run goes on after the last one."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO

from murace.data.studies.find import StudyFiles
from murace.data.studies.names import shown
from murace.inference.studies.rows import Rows
from murace.system.disk import disk_error
from murace.system.files import PRIVATE, digest_of, parse_json

ENDING = ".jsonl"


def kept(folder: Path, studies: Sequence[StudyFiles]) -> dict[int, Rows]:
    """The studies that are in the journals of all processes, by number; a line that is not whole is passed over.

    Args:
        folder: of the journals.
        studies: of this run, in their order; a line that is about another, or about other files, is passed over too.
    """
    found = {}
    for path in sorted(folder.glob(f"*{ENDING}")):
        for line in path.read_text(errors="replace").splitlines():
            rows = _parsed(line)
            if rows is not None and 0 <= rows.number < len(studies) and _is_about(rows, studies[rows.number]):
                found[rows.number] = rows
    return found


def _is_about(rows: Rows, study: StudyFiles) -> bool:
    views = [shown(path) for path in study.views]
    return rows.study.get("study") == study.name and [row.get("view") for row in rows.views] == views


def _parsed(line: str) -> Rows | None:
    digest, _, text = line.partition(" ")
    try:
        value = parse_json(text)
        rows = Rows(**value) if digest == digest_of(value) else None
    except (ValueError, TypeError):
        return None
    return rows if rows is not None and rows.is_sound else None


class Journal:
    """One process's file, appended to."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self.path, self.file = path, file

    def add(self, rows: Rows) -> None:
        """Keep a study; it outlives the process at once.

        Raises:
            MachineError: the disk is full.
        """
        value = asdict(rows)
        try:
            self.file.write(f"{digest_of(value)} {json.dumps(value)}\n")
            self.file.flush()
        except OSError as error:
            raise disk_error(error, self.path) from error


@contextmanager
def journal(folder: Path, rank: int) -> Iterator[Journal]:
    """Go on with this process's journal.

    Raises:
        MachineError: the folder cannot be written to.
    """
    path = folder / f"{rank}{ENDING}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, PRIVATE)
    except OSError as error:
        raise disk_error(error, path) from error
    with os.fdopen(descriptor, "w") as file:
        file.write("\n")  # ends the line that a killed process may have left
        yield Journal(path, file)
