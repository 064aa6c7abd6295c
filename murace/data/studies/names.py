"""Names of files in texts and tables: on one line, in letters that every file can hold, never a formula."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def shown(place: Path) -> str:
    """A path that no spreadsheet takes for a formula, on one line."""
    return harmless(place.as_posix(), guard="./")


def harmless(text: str, *, guard: str = "'") -> str:
    """A text on one line, with `guard` before it where a spreadsheet would take it for a formula."""
    text = f"{guard}{text}" if text.startswith(("=", "+", "-", "@")) else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode() for c in text)


def named(path: Path) -> str:
    """A file's name within a sentence, where no formula can begin."""
    return harmless(path.name, guard="")


def names_within(place: Path, paths: Sequence[Path]) -> list[str]:
    """A name for each file within a sentence; its path from the study's place where another file has the same name."""
    shared = Counter(path.name for path in paths)
    return [named(path) if shared[path.name] == 1 else _from(place, path) for path in paths]


def _from(place: Path, path: Path) -> str:
    inside = Path(os.path.relpath(os.path.realpath(path.parent), os.path.realpath(place))) / path.name
    return harmless(inside.as_posix(), guard="")
