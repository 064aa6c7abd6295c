"""Where the overlays of a study go, and what they are called."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.data.finding import MURA_PLACE, Found
from murace.errors import UsageError


@dataclass(frozen=True)
class Study:
    """A study to be drawn: its views, its group and how that is known, the folder of its overlays, and any warning."""

    views: tuple[Path, ...]
    group: str
    source: str
    folder: Path
    warning: str = ""


def placed(found: Sequence[tuple[Found, str, str, str]], out: Path) -> list[Study]:
    """The studies, each with its group, how that is known and any warning, and a folder in `out`.

    Raises:
        UsageError: two studies would share a folder.
    """
    studies = [
        Study(study.views, group, source, out / folder_of(study, group), warning)
        for study, group, source, warning in found
    ]
    for folder, count in Counter(study.folder for study in studies).items():
        if count > 1:
            raise UsageError(f"two studies would both be drawn into {folder}: draw them into different --out folders")
    return studies


def folder_of(study: Found, group: str) -> str:
    """The folder's name: `<group>-<patient>-<study>`, or a hash of the path where it is not of MURA's form."""
    match = MURA_PLACE.search(study.place.as_posix())
    if match and match[1] == f"XR_{group.upper()}":
        return f"{group}-{match[2]}-{match[3]}"
    place = study.place.as_posix()
    told_apart = place + study.name.partition("#")[1] + study.name.partition("#")[2]
    return f"{group}-{hashlib.sha256(told_apart.encode(errors='surrogateescape')).hexdigest()[:16]}"


def view_names(views: Sequence[Path]) -> list[str]:
    """The overlays' file names: the view's own, with its ending too where two views share a stem."""
    stems = [view.stem for view in views]
    return [f"{view.stem if stems.count(view.stem) == 1 else view.name}.png" for view in views]
