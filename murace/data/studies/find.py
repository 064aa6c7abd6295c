"""What was typed, as studies: files are put together where something says that they belong."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from murace.data.images.dicom.regions import Stated, stated_region
from murace.data.studies.search import Fault, View, search
from murace.errors import DataError
from murace.system.progress import Reporter

PATH = "path"
_REGION = re.compile(r"XR_([A-Z]+)")
Key = tuple[str, ...]  # what views of one study have in common


@dataclass(frozen=True)
class StudyFiles:
    """What is read together.

    `name` is how it was typed or found, for people; `place` is where it lies, for good. `stated` is the group that a
    DICOM tag or the path names, whether or not an ensemble knows it. A folder from which nothing comes is a study
    without views, with its `fault`. `mark` tells studies in one place apart, for good. `patient` and `study_uid`
    identify people.
    """

    name: str
    place: Path
    views: tuple[Path, ...]
    stated: Stated | None
    fault: str = ""
    mark: tuple[str, ...] = field(default=(), repr=False)
    patient: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)


def find_studies(
    paths: Sequence[Path], *, known: Collection[str] = (), skip: Path | None = None, reporter: Reporter
) -> list[StudyFiles]:
    """Turn what was typed into studies, folders searched to their depths, in a fixed order.

    DICOM files with one StudyInstanceUID and one region are a study, wherever they lie. Of the others, those in one
    folder (and of one region, as far as tags tell) are a study if the folder was typed, found, or is of MURA's form; a
    file that was typed is its own, since nothing says that it shows the same patient as its neighbours.

    Args:
        paths: folders and files.
        known: groups whose names in a DICOM tag mean them.
        skip: a folder that is not searched, besides those that `cam` has drawn into.
        reporter: asked as folders are searched.

    Raises:
        DataError: a path does not exist, or there is no radiograph at all.
        Interrupted: a signal asked to stop.
    """
    together: dict[Key, list[View]] = defaultdict(list)
    faults = []
    for path in paths:
        for item in search(path, skip=skip.resolve() if skip else None, reporter=reporter):
            if isinstance(item, Fault):
                faults.append(StudyFiles(shown(item.place), item.place.absolute(), (), None, fault=item.reason))
            else:
                together[_key(item, known)].append(item)
    if not together:
        reasons = "; ".join(f"{fault.name} {fault.fault}" for fault in faults)
        raise DataError(f"{reasons}: name study folders, folders of studies, or image files")
    studies = []
    for key, views in together.items():
        unique = {os.path.realpath(view.path): view for view in views}
        studies.append(_study(list(unique.values()), key, known))
    return [*_distinct(studies), *faults]


def _key(view: View, known: Collection[str]) -> Key:
    stated = stated_region(view.tags, known) if view.tags else None
    region = stated.name if stated else ""
    if view.tags is not None and view.tags.study:
        return ("tags", "", view.tags.study, region)
    return ("place", os.path.realpath(view.place), region)


def _study(views: list[View], key: Key, known: Collection[str]) -> StudyFiles:
    first = views[0]
    place = first.place if len({view.place for view in views}) == 1 else _common(views)
    stated = stated_region(first.tags, known) if first.tags else None
    return StudyFiles(
        name=shown(place),
        place=Path(os.path.realpath(place)),
        mark=tuple(filter(None, key[2:])),
        views=tuple(view.path for view in views),
        stated=stated or _stated_by(place),
        patient=first.tags.patient_id if first.tags else None,
        study_uid=first.tags.study_uid if first.tags else None,
    )


def _common(views: Sequence[View]) -> Path:
    """The folder that holds them all, as it was typed if it was typed in one way."""
    folders = [view.path.parent for view in views]
    is_mixed = len({folder.is_absolute() for folder in folders}) > 1
    return Path(os.path.commonpath([folder.absolute() if is_mixed else folder for folder in folders]))


def _stated_by(place: Path) -> Stated | None:
    """The group that the path, as typed or else where it leads, names as MURA does: `XR_ELBOW`; the innermost."""
    for path in (place.absolute(), Path(os.path.realpath(place))):
        regions = [match[1].lower() for part in path.parts if (match := _REGION.fullmatch(part))]
        if regions:
            return Stated(name=regions[-1], source=PATH)
    return None


def shown(place: Path) -> str:
    """A path that no spreadsheet takes for a formula, on one line."""
    return harmless(place.as_posix(), guard="./")


def harmless(text: str, *, guard: str = "'") -> str:
    """A text on one line, with `guard` before it where a spreadsheet would take it for a formula."""
    text = f"{guard}{text}" if text.startswith(("=", "+", "-", "@")) else text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogateescape").decode() for c in text)


def _distinct(found: list[StudyFiles]) -> list[StudyFiles]:
    """Studies that lie in one place are numbered: what put them together might tell who they are."""
    shared, seen = Counter(study.name for study in found), Counter[str]()
    named = []
    for study in found:
        seen[study.name] += 1
        is_alone = shared[study.name] == 1
        named.append(study if is_alone else replace(study, name=f"{study.name}#{seen[study.name]}"))
    return named
