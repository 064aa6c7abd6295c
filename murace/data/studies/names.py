"""Names of files in texts and tables: on one line, in letters that every file can hold, never a formula."""

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
