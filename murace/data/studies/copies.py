"""One picture that a study holds twice: the same bytes, or the same SOPInstanceUID."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from murace.data.images.views import Bytes, Views
from murace.data.studies.find import StudyFiles

ALIKE = 0.97  # correlation of pictures that are one, stored in two ways; of two views of a hand it is below 0.9
NAMED = 3  # files in a message


@dataclass(frozen=True)
class Copies:
    """Which of the views that could be read count in the study's answer, bool [R], and what is to be said of others."""

    counted: npt.NDArray[np.bool_]
    remark: str = ""


def find_copies(files: StudyFiles, views: Views) -> Copies:
    """Find views that repeat an earlier one.

    Some software gives one SOPInstanceUID to different pictures: where they do not look alike, both count, and this is
    said.
    """
    readable = [place for place, fault in enumerate(views.faults) if not fault]
    instances = files.instances or ("",) * len(views.faults)
    counted, copies, clashes = np.ones(len(readable), np.bool_), dict[int, int](), dict[int, None]()
    for number, place in enumerate(readable):
        for other, before in enumerate(readable[:number]):
            is_same = views.sha256[place] == views.sha256[before]
            is_one_instance = bool(instances[place]) and instances[place] == instances[before]
            if is_same or (is_one_instance and _look_alike(views.prepared[number], views.prepared[other])):
                counted[number] = False
                copies[place] = before
                break
            if is_one_instance:
                clashes[place] = None
    # Numbers, not names, which may tell who it is: the views stand in this order in the tables.
    pairs = [f"view {place + 1} = {before + 1}" for place, before in copies.items()]
    kept = [f"view {place + 1}" for place in clashes if place not in copies]
    said = (
        f"stored twice, counted once: {_some(pairs)}" if pairs else "",
        f"another picture has the SOPInstanceUID of {_some(kept)}: both are counted" if kept else "",
    )
    return Copies(counted, "; ".join(filter(None, said)))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _look_alike(one: Bytes, other: Bytes) -> bool:
    """Whether two prepared pictures are the same but for compression or brightness."""
    first, second = (picture.astype(np.float64).ravel() - picture.mean() for picture in (one, other))
    scale = float(np.linalg.norm(first) * np.linalg.norm(second))
    return bool(first @ second >= ALIKE * scale)
