"""`index.html` over the folders of overlays: made from what stands in them, whoever drew it and when."""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from murace.data.images.decode import read_drawn
from murace.data.images.header import ImageError
from murace.errors import UsageError
from murace.explain.cam import MapMethod
from murace.explain.overlays.folder import BEGUN, METHOD, MODEL, RECORD, SCALES, sealed_record
from murace.explain.overlays.gallery import GENERATOR, Entry, View, gallery_page, ranked
from murace.explain.overlays.thumbnail import Thumbnail, thumbnail_of
from murace.system.files import atomic
from murace.system.progress import Bar, Reporter
from murace.system.threads import ReadAhead
from murace.vocabulary import is_group

INDEX = "index.html"
MARK = f'<meta name="generator" content="{GENERATOR}">'.encode()
HEAD = 4096  # bytes in which the mark stands
WEIGHT = 16 * 2**20  # bytes of small pictures drawn ahead
MOST_THREADS = 8  # the overlay of a radiograph of 6 megapixels takes 60 MB while it is read


def refuse_foreign_index(out: Path) -> None:
    """Never overwrite an `index.html` that `cam` has not written; asked before anything is drawn.

    Raises:
        UsageError: there is one.
    """
    path = out / INDEX
    if not path.exists() and not path.is_symlink():
        return
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            if MARK in file.read(HEAD):
                return
    raise UsageError(f"{path} was not written by murace cam: choose another --out")


def drawn_folders(out: Path) -> list[Path]:
    """The folders in `out` that `cam` has drawn into and finished, in this run or before."""
    return sorted(path.parent for path in out.glob(f"*/{RECORD}") if _entry(path.parent) is not None)


def is_index_of(page: Path, folders: Sequence[Path]) -> bool:
    """Whether the page is there and shows these studies and no other."""
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    shown = {unquote(name) for name in re.findall(r'id="study-([^"]+)"', text)}
    return shown == {folder.name for folder in folders}


def write_index(
    out: Path, folders: Sequence[Path], *, notes: Sequence[str] = (), reporter: Reporter, threads: int
) -> Path:
    """Write `OUT/index.html` over these folders, each a folder in `out` with its record; returns where it stands.

    Args:
        out: where the page goes.
        folders: such as `drawn_folders` has found.
        notes: what a reader must know before anything, such as that the data are synthetic.
        reporter: hears of the progress.
        threads: that shrink pictures; at most `MOST_THREADS` are used.

    Raises:
        UsageError: an `index.html` is there that is not `cam`'s.
        MachineError: the disk is full or the folder cannot be written to.
        Interrupted: a signal asked to stop. What stood there before stays.
    """
    refuse_foreign_index(out)
    path = out / INDEX
    entries = ranked(_drawn(folder) for folder in dict.fromkeys(folders))
    shrink = partial(_shrink, out)
    with (
        reporter.bar("gallery", len(entries)) as bar,
        ReadAhead(shrink, entries, weigh=_weight, limit=WEIGHT, threads=min(threads, MOST_THREADS)) as ahead,
        atomic(path) as file,
    ):
        for piece in gallery_page(entries, _counted(ahead.results(reporter), bar), notes=notes):
            file.write(piece.encode())
    return path


def _counted(results: Iterator[list[Thumbnail | None]], bar: Bar) -> Iterator[list[Thumbnail | None]]:
    for result in results:
        yield result
        bar.advance()


def _drawn(folder: Path) -> Entry:
    entry = _entry(folder)
    if entry is None:
        raise UsageError(f"{folder} holds no finished overlays of murace cam")
    return entry


def _entry(folder: Path) -> Entry | None:
    """A finished study, from its record; None where there is none that is `cam`'s."""
    if (folder / BEGUN).exists():
        return None
    try:
        content = sealed_record(folder / RECORD) or {}
        map_method = MapMethod(content[METHOD], tuple(content[SCALES])) if METHOD in content else None
        found = Entry(
            folder=folder.name,
            group=_name(content["group"]),
            learner=_name(content["learner"]),
            probability=_number(content["probability"]),
            decision=_name(content["decision"]),
            threshold=_number(content["threshold"]),
            views=[
                View(_name(view["file"]), _number(view["probability"]), view.get("remark")) for view in content["views"]
            ],
            calibrated=content.get("probability_calibrated"),
            known_by=content.get("group_source"),
            warning=content.get("warning", ""),
            method=map_method.name if map_method else "",
            is_signed=map_method is None or map_method.is_signed,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError):
        return None
    return found if MODEL in content and is_group(found.group) else None


def _name(value: Any) -> str:
    """A word or a file's name in the folder, never a path out of it."""
    if not isinstance(value, str) or Path(value).name != value:
        raise TypeError
    return value


def _number(value: Any) -> float:
    """A probability or a threshold."""
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _shrink(out: Path, entry: Entry) -> list[Thumbnail | None]:
    """A small picture of each view's file; None where it is gone or cannot be read."""
    return [_read_small(out / entry.folder / view.file) for view in entry.views]


def _read_small(path: Path) -> Thumbnail | None:
    try:
        return thumbnail_of(read_drawn(path))
    except ImageError:
        return None


def _weight(thumbnails: list[Thumbnail | None]) -> int:
    return sum(len(one.data) for one in thumbnails if one is not None)
