"""Where the overlays of a study go, and what they are called."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from murace.data.studies.find import StudyFiles
from murace.data.studies.names import harmless
from murace.data.studies.search import MURA_PLACE

LONGEST = 150  # bytes of a file's name; the temporary one beside it is longer, and 255 is what disks take


@dataclass(frozen=True)
class StudyToDraw:
    """A study to be drawn: its views, its group and how that is known, the folder of its overlays, and any warning.

    `put_together` is what is to be said about how its files were put together; `counted`, by view, whether it counts in
    the answer or is a copy (empty: all count).
    """

    views: tuple[Path, ...]
    group: str
    source: str
    folder: Path
    warning: str = ""
    put_together: str = ""
    counted: tuple[bool, ...] = ()


def folder_of(study: StudyFiles, group: str) -> str:
    """The folder's name: `<group>-<patient>-<study>`, or a hash of the path where it is not of MURA's form."""
    match = MURA_PLACE.search(study.place.as_posix())
    if match and match[1] == f"XR_{group.upper()}" and not study.apart:
        return f"{group}-{match[2]}-{match[3]}"
    place = "#".join((study.place.as_posix(), *study.mark, *filter(None, (study.apart,))))
    return f"{group}-{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()[:16]}"


def view_names(views: Sequence[Path]) -> list[str]:
    """The overlays' file names: the view's own, with its ending too where two views share a stem.

    Views of one name in several folders are numbered; a name that no file may have is spelled out, or cut.
    """
    stems = Counter(view.stem for view in views)
    names = [_fitting(view.stem if stems[view.stem] == 1 else view.name) for view in views]
    shared = Counter(names)
    numbered = [f"{name}-{number}" if shared[name] > 1 else name for number, name in enumerate(names, start=1)]
    # a number may make a name that another view has
    return [f"{name}.png" if numbered.count(name) == 1 else f"view{place}.png" for place, name in enumerate(numbered)]


def _fitting(name: str) -> str:
    text = harmless(name, guard="_")
    return text if len(text.encode()) <= LONGEST else hashlib.sha256(text.encode()).hexdigest()[:16]
