"""What was typed as studies: folders or files, the group of each, and where its overlays go."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.data.paths import is_sidecar
from murace.errors import DataError, UsageError
from murace.vocabulary import closest

SUFFIXES = (".png", ".jpg", ".jpeg")
REGION = re.compile(r"XR_([A-Z]+)")
MURA_PLACE = re.compile(r"(XR_[A-Z]+)/(patient\d+)/(study\d+)_(?:positive|negative)$")


@dataclass(frozen=True)
class Study:
    """What is read together: its views, its group and the folder its overlays go to."""

    views: tuple[Path, ...]
    group: str
    folder: Path


def gather(paths: Sequence[Path], *, out: Path, group: str | None, known: Sequence[str]) -> list[Study]:
    """Turn what was typed into studies, and refuse before anything is drawn.

    A folder is a study. Files are views of one study where they lie in one study folder of MURA's form; elsewhere each
    file is its own, since nothing says that they show the same patient.

    Raises:
        UsageError: a group is neither given nor in the path, or unknown; or two studies would share a folder.
        DataError: a path does not exist or holds no view.
    """
    if group is not None and group not in known:
        raise UsageError(f"--group: unknown group '{group}'{closest(group, known)}")
    views: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_dir():
            found = sorted(item for item in path.iterdir() if _is_view(item))
            if not found:
                raise DataError(f"{path} holds no PNG or JPEG: name a study folder or image files")
            views.setdefault(path, []).extend(found)
        elif path.is_file():
            is_mura = MURA_PLACE.search(path.parent.resolve().as_posix())
            views.setdefault(path.parent if is_mura else path, []).append(path)
        else:
            raise DataError(f"no such file or folder: {path}")
    studies = []
    for place, files in views.items():
        name = group or _group_in(place.resolve(), known)
        studies.append(Study(tuple(dict.fromkeys(files)), name, out / _name_of(place.resolve(), name)))
    for folder, count in Counter(study.folder for study in studies).items():
        if count > 1:
            raise UsageError(f"two studies would both be drawn into {folder}: draw them into different --out folders")
    return studies


def _is_view(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not is_sidecar(path.name)


def _group_in(place: Path, known: Sequence[str]) -> str:
    """The group that the path names as MURA does, `XR_ELBOW`."""
    regions = [match[1].lower() for part in place.parts if (match := REGION.fullmatch(part))]
    if not regions:
        raise UsageError(f"which group is {place.name}? The path names none; add --group, one of: {', '.join(known)}")
    if regions[-1] not in known:
        raise UsageError(f"no member for group '{regions[-1]}'; add --group, one of: {', '.join(known)}")
    return regions[-1]


def _name_of(place: Path, group: str) -> str:
    """`<group>-<patient>-<study>`, or a hash of the path where it is not of MURA's form."""
    match = MURA_PLACE.search(place.as_posix())
    if match and match[1] == f"XR_{group.upper()}":
        return f"{group}-{match[2]}-{match[3]}"
    return f"{group}-{hashlib.sha256(place.as_posix().encode()).hexdigest()[:16]}"


def view_names(views: Sequence[Path]) -> list[str]:
    """The overlays' file names: the view's own, with its ending too where two views share a stem."""
    stems = [view.stem for view in views]
    return [f"{view.stem if stems.count(view.stem) == 1 else view.name}.png" for view in views]
