"""Folders searched to their depths for radiographs: files by name and, where the name says nothing, by their tags."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from murace.data.images.dicom.radiograph import Content, Tags, read_tags
from murace.data.tables.paths import is_sidecar
from murace.errors import DataError
from murace.system.files import parse_json
from murace.system.progress import Reporter

PICTURES = (".png", ".jpg", ".jpeg")
SUFFIXES = (*PICTURES, ".dcm", ".dicom")
DIRECTORY = "DICOMDIR"  # the table of contents of a CD; it is also known by what it holds
DRAWN = "study.json"  # a folder that `cam` has drawn into
EMPTY = "holds no PNG, JPEG or DICOM"
MURA_PLACE = re.compile(r"(XR_[A-Z]+)/(patient\d+)/(study\d+)_(?:positive|negative)$")


@dataclass(frozen=True)
class View:
    """A file, the place that is its study's unless a tag says otherwise, and its tags."""

    path: Path
    place: Path
    tags: Tags | None


@dataclass(frozen=True)
class LeftOut:
    """A file that is no view: a DICOM object without pixels, or a picture that belongs to a CD's viewer."""

    path: Path
    content: Content


@dataclass(frozen=True)
class Fault:
    """A folder from which nothing comes, and why."""

    place: Path
    reason: str


def search(path: Path, *, skip: Path | None, reporter: Reporter) -> Iterator[View | LeftOut | Fault]:
    """The file, or what is in the folder, in a fixed order; links are followed, a folder is looked at once.

    PNG and JPEG files at or below a DICOMDIR are the icons and pages of a CD's viewer: they are left out unless typed.

    Args:
        path: as typed.
        skip: a folder, resolved, that is not searched; nor are those that `cam` has drawn into.
        reporter: asked before each folder.

    Raises:
        DataError: there is nothing of that name.
        Interrupted: a signal asked to stop.
    """
    if path.is_dir():
        yield from _inside(path, skip, reporter)
    elif path.exists():
        is_mura = MURA_PLACE.search(os.path.realpath(path.parent))
        yield _item(path, path.parent if is_mura else path, read_tags(path))
    else:
        raise DataError(f"no such file or folder: {path}")


def _inside(path: Path, skip: Path | None, reporter: Reporter) -> Iterator[View | LeftOut | Fault]:
    seen, discs = {skip}, list[Path]()
    is_empty, errors = True, list[OSError]()
    for folder, inner, names in os.walk(path, followlinks=True, onerror=errors.append):
        reporter.check()
        place = Path(folder)
        inner.sort()
        real = Path(os.path.realpath(place))
        if real in seen or (DRAWN in names and _is_drawn(place / DRAWN)):
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not is_sidecar(name)]
        items = list(_items(place, sorted(names)))
        if any(isinstance(item, LeftOut) and item.content is Content.DIRECTORY for item in items):
            discs.append(place)
        is_on_disc = any(place.is_relative_to(disc) for disc in discs)
        for item in items:
            is_empty = is_empty and isinstance(item, LeftOut) and item.content is Content.DIRECTORY
            is_of_viewer = is_on_disc and item.path.suffix.lower() in PICTURES
            yield LeftOut(item.path, Content.PICTURE) if is_of_viewer else item
    yield from (Fault(Path(error.filename), f"cannot be read: {error.strerror}") for error in errors)
    if is_empty and not errors:
        yield Fault(path, EMPTY)


def _is_drawn(path: Path) -> bool:
    """Whether it is `cam`'s record of a study."""
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"model_sha256", "views"} <= content.keys()


def _items(place: Path, names: list[str]) -> Iterator[View | LeftOut]:
    for name in names:
        path = place / name
        if is_sidecar(name):
            continue
        if name.upper() == DIRECTORY:
            yield LeftOut(path, Content.DIRECTORY)
            continue
        tags = None if path.suffix.lower() in PICTURES else read_tags(path)  # archives give files endings of all kinds
        if tags is not None or path.suffix.lower() in SUFFIXES:
            yield _item(path, place, tags)


def _item(path: Path, place: Path, tags: Tags | None) -> View | LeftOut:
    if tags is None or tags.content is Content.PICTURE:
        return View(path, place, tags)
    return LeftOut(path, tags.content)
