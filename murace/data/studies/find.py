"""What was typed, as studies: files are put together where something says that they belong."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from murace.data.images.dicom.radiograph import Content
from murace.data.images.dicom.regions import Stated
from murace.data.studies.grouping import by_patient, doubt_about_folder, doubt_about_uid, region_of
from murace.data.studies.names import shown
from murace.data.studies.search import LeftOut, View, search
from murace.errors import DataError
from murace.system.progress import Reporter

PATH = "path"
NO_PICTURE = "is the table of contents of a CD (DICOMDIR), whose folder holds the pictures"
FILE, UID, FOLDER = "file", "uid", "folder"  # what puts views together
_REGION = re.compile(r"XR_([A-Z]+)")
Key = tuple[str, ...]  # what views of one study have in common


@dataclass(frozen=True)
class StudyFiles:
    """What is read together.

    `name` is how it was typed or found, for people; `place` is where it lies, for good. `stated` is the group that a
    DICOM tag or the path names, whether or not an ensemble knows it. A folder from which nothing comes is a study
    without views, with its `fault`; `contradiction` says how its views contradict each other. `warning` is what is to
    be said about how they were put together. `mark` tells studies in one place apart, for good, and so does `apart`,
    of a person who was parted from others. `instances` are digests of the views' SOPInstanceUIDs, empty where there is
    none. `patient` and `study_uid` identify people.
    """

    name: str
    place: Path
    views: tuple[Path, ...]
    stated: Stated | None
    fault: str = ""
    contradiction: str = ""
    warning: str = ""
    mark: tuple[str, ...] = field(default=(), repr=False)
    apart: str = ""
    instances: tuple[str, ...] = field(default=(), repr=False)
    patient: str | None = field(default=None, repr=False)
    study_uid: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Found:
    """The studies, and remarks about what was left out; no remark holds a name or an id."""

    studies: list[StudyFiles]
    remarks: tuple[str, ...] = ()


def find_studies(
    paths: Sequence[Path],
    *,
    known: Collection[str] = (),
    each_file: bool = False,
    skip: Path | None = None,
    reporter: Reporter,
) -> Found:
    """Turn what was typed into studies, folders searched to their depths, in a fixed order.

    DICOM files with one StudyInstanceUID are a study, wherever they lie. Of the others, those in one folder are a study
    if the folder was typed, found, or is of MURA's form; a file that was typed is its own, since nothing says that it
    shows the same patient as its neighbours. Whatever puts views together, those of several patients are parted.

    Args:
        paths: folders and files.
        known: groups whose names in a DICOM tag mean them.
        each_file: whether each file is a study of its own.
        skip: a folder that is not searched, besides those that `cam` has drawn into.
        reporter: asked as folders are searched.

    Raises:
        DataError: a path does not exist, or there is no radiograph at all.
        Interrupted: a signal asked to stop.
    """
    together: dict[Key, dict[str, View]] = {}
    faults, left_out = list[StudyFiles](), list[LeftOut]()
    for path in paths:
        for item in search(path, skip=skip.resolve() if skip else None, reporter=reporter):
            if isinstance(item, View):
                together.setdefault(_key(item, each_file), {})[os.path.realpath(item.path)] = item
            elif isinstance(item, LeftOut):
                left_out.append(item)
            else:
                faults.append(StudyFiles(shown(item.place), item.place.absolute(), (), None, fault=item.reason))
    read = {place for views in together.values() for place in views}
    remarks = _remarks([one for one in left_out if os.path.realpath(one.path) not in read])
    if not together:
        directories = (one.path for one in left_out if one.content is Content.DIRECTORY)
        reasons = [f"{fault.name} {fault.fault}" for fault in faults] or [
            *remarks,
            *(f"{shown(path)} {NO_PICTURE}" for path in directories),
        ]
        raise DataError(f"{'; '.join(reasons)}: name study folders, folders of studies, or image files")
    studies = [study for key, views in together.items() for study in _studies(list(views.values()), key, known)]
    if each_file:
        remarks = (*remarks, *_parted(studies))
    return Found([*_distinct(studies), *faults], remarks)


def _key(view: View, each_file: bool) -> Key:
    if each_file:
        return (FILE, os.path.realpath(view.path))
    if view.tags is not None and view.tags.study:
        return (UID, view.tags.study)
    return (FOLDER, os.path.realpath(view.place))


def _studies(views: list[View], key: Key, known: Collection[str]) -> Iterator[StudyFiles]:
    for part in by_patient(views, shared="its StudyInstanceUID" if key[0] == UID else "its folder"):
        own = part.views
        first, stated, contradiction = own[0], *region_of(own, known)
        place = first.path if key[0] == FILE else first.place if len({one.place for one in own}) == 1 else _common(own)
        doubts = (
            part.warning,
            doubt_about_folder(own) if key[0] == FOLDER and not part.is_apart else "",
            doubt_about_uid(own) if key[0] == UID else "",
        )
        mark = (key[1] if key[0] == UID else "", stated.name if stated else "")
        yield StudyFiles(
            name=shown(place),
            place=Path(os.path.realpath(place)),
            mark=tuple(filter(None, mark)),
            apart=os.path.relpath(first.path, place) if part.is_apart else "",
            views=tuple(view.path for view in own),
            stated=stated or (None if contradiction else _stated_by(place)),
            contradiction=contradiction,
            warning="; ".join(filter(None, doubts)),
            instances=tuple(view.tags.instance if view.tags else "" for view in own),
            patient=first.tags.patient_id if first.tags else None,
            study_uid=first.tags.study_uid if first.tags else None,
        )


def _remarks(left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    objects, pictures = (
        len({os.path.realpath(one.path) for one in left_out if one.content is content})
        for content in (Content.NO_PIXELS, Content.PICTURE)
    )
    reports, viewers = (
        _left_out(objects, "DICOM object", "without pixels (presentation states, reports and the like)"),
        _left_out(
            pictures, "PNG or JPEG file", "they lie on a CD, beside or below its DICOMDIR; name them to read them"
        ),
    )
    return tuple(filter(None, (reports, viewers)))


def _left_out(count: int, what: str, which: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''} left out: {which}" if count else ""


def _parted(studies: Sequence[StudyFiles]) -> tuple[str, ...]:
    """What `--each-file` does to DICOM files of one study."""
    shared = [count for count in Counter(study.study_uid for study in studies if study.study_uid).values() if count > 1]
    if not shared:
        return ()
    of = "one study" if len(shared) == 1 else f"{len(shared)} studies"
    return (f"--each-file: {sum(shared)} DICOM files of {of} (StudyInstanceUID) are read as a study each",)


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


def _distinct(found: list[StudyFiles]) -> list[StudyFiles]:
    """Studies that lie in one place are numbered: what put them together might tell who they are."""
    shared, seen = Counter(study.name for study in found), Counter[str]()
    named = []
    for study in found:
        seen[study.name] += 1
        is_alone = shared[study.name] == 1
        named.append(study if is_alone else replace(study, name=f"{study.name}#{seen[study.name]}"))
    return named
