"""What was typed, as studies: folders are searched, files are put together where something says that they belong."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from murace.data.dicom import Tags, read_tags
from murace.data.paths import is_sidecar
from murace.data.regions import Stated, stated_region
from murace.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg")
SUFFIXES = (*PICTURES, ".dcm", ".dicom")
NO_PICTURES = ("DICOMDIR",)  # an archive's table of contents
DRAWN = "study.json"  # a folder that `cam` has drawn into
PATH = "path"
MURA_PLACE = re.compile(r"(XR_[A-Z]+)/(patient\d+)/(study\d+)_(?:positive|negative)$")
_REGION = re.compile(r"XR_([A-Z]+)")


@dataclass(frozen=True)
class Found:
    """What is read together.

    `name` is how it was typed or found, for people; `place` is where it lies, for good. `stated` is the group that a
    DICOM tag or the path names, whether or not an ensemble knows it. `patient` and `study_uid` identify people.
    """

    name: str
    place: Path
    views: tuple[Path, ...]
    stated: Stated | None
    patient: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _View:
    """A file, the place that is its study's unless a tag says otherwise, and its tags."""

    path: Path
    place: Path
    tags: Tags | None


def find_studies(paths: Sequence[Path], *, known: Collection[str] = (), skip: Path | None = None) -> list[Found]:
    """Turn what was typed into studies, folders searched to their depths, in a fixed order.

    DICOM files with one StudyInstanceUID and one region are a study, wherever they lie. Of the others, those in one
    folder are a study if the folder was typed, found, or is of MURA's form; a file that was typed is its own, since
    nothing says that it shows the same patient as its neighbours.

    Args:
        paths: folders and files.
        known: groups whose names in a DICOM tag mean them.
        skip: a folder that is not searched, besides those that `cam` has drawn into.

    Raises:
        DataError: a path does not exist, or a folder holds no radiograph.
    """
    together: dict[tuple[str, ...], list[_View]] = defaultdict(list)
    for path in paths:
        for view in _views(path, skip.resolve() if skip else None):
            together[_key(view, known)].append(view)
    unique = [list({view.path.resolve(): view for view in views}.values()) for views in together.values()]
    found = [_study(views, known) for views in unique]
    return _distinct(found, list(together))


def _views(path: Path, skip: Path | None) -> Iterator[_View]:
    if path.is_file():
        is_mura = MURA_PLACE.search(path.parent.resolve().as_posix())
        yield _View(path, path.parent if is_mura else path, read_tags(path))
        return
    if not path.is_dir():
        raise DataError(f"no such file or folder: {path}")
    is_empty = True
    for folder, inner, names in os.walk(path):
        place = Path(folder)
        inner[:] = sorted(name for name in inner if not (is_sidecar(name) or (place / name).resolve() == skip))
        if DRAWN in names:
            continue
        for item in (place / name for name in sorted(names)):
            tags = read_tags(item) if _may_be_dicom(item) else None
            if tags is not None or (item.suffix.lower() in SUFFIXES and not is_sidecar(item.name)):
                is_empty = False
                yield _View(item, place, tags)
    if is_empty:
        raise DataError(f"{path} holds no PNG, JPEG or DICOM: name study folders, folders of studies, or image files")


def _may_be_dicom(path: Path) -> bool:
    """Archives give their files endings of all kinds, or none."""
    return path.suffix.lower() not in PICTURES and path.name not in NO_PICTURES and not is_sidecar(path.name)


def _key(view: _View, known: Collection[str]) -> tuple[str, ...]:
    """Views with one key are a study."""
    if view.tags is None or not view.tags.study:
        return ("place", str(view.place.resolve()))
    stated = stated_region(view.tags, known)
    return ("tags", view.tags.study, stated.name if stated else "")


def _study(views: list[_View], known: Collection[str]) -> Found:
    first = views[0]
    place = first.place
    if first.tags is not None and len(views) > 1:
        place = Path(os.path.commonpath([view.path.parent for view in views]))
    stated = stated_region(first.tags, known) if first.tags else None
    return Found(
        name=shown(place),
        place=place.resolve(),
        views=tuple(view.path for view in views),
        stated=stated or _stated_by(place.resolve()),
        patient=first.tags.patient_id if first.tags else None,
        study_uid=first.tags.study_uid if first.tags else None,
    )


def _stated_by(place: Path) -> Stated | None:
    """The group that the path names as MURA does, `XR_ELBOW`; the innermost counts."""
    regions = [match[1].lower() for part in place.parts if (match := _REGION.fullmatch(part))]
    return Stated(name=regions[-1], source=PATH) if regions else None


def shown(place: Path) -> str:
    """A path that no spreadsheet takes for a formula, on one line."""
    text = place.as_posix()
    text = f"./{text}" if text.startswith(("=", "+", "-", "@")) else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode() for c in text)


def _distinct(found: list[Found], keys: list[tuple[str, ...]]) -> list[Found]:
    """Studies that lie in one place are told apart by what put them together."""
    shared = Counter(study.name for study in found)
    return [
        study
        if shared[study.name] == 1 or key[0] == "place"
        else replace(study, name="#".join((study.name, *filter(None, key[1:]))))
        for study, key in zip(found, keys, strict=True)
    ]
